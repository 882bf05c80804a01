#include "model/parameters.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.hpp"
#include "core/random.hpp"

namespace xtasc::model {

namespace {

/// Of the weights of a convolution. sqrt(3) deviations are the bound of a uniform draw.
double standard_deviation(at::IntArrayRef shape, Init init) {
  // (out, in, kh, kw)
  const double receptive = static_cast<double>(shape[2] * shape[3]);
  const double fan_out = static_cast<double>(shape[0]) * receptive;
  const double fan_in = static_cast<double>(shape[1]) * receptive;
  switch (init) {
    case Init::kaiming_normal:
      return std::sqrt(2.0 / fan_out);
    case Init::fan_in_uniform:
      return 1.0 / std::sqrt(3.0 * fan_in);
    default:
      return std::sqrt(2.0 / (fan_in + fan_out));
  }
}

/// Drawn on the CPU in double for every device and dtype: the same seed gives the same net everywhere.
at::Tensor initial_values(std::uint64_t seed, const std::string& name, at::IntArrayRef shape, Init init) {
  const auto options = at::TensorOptions().dtype(at::kDouble);
  if (init == Init::zeros || init == Init::ones) {
    return at::full(shape, init == Init::ones ? 1.0 : 0.0, options);
  }
  at::Tensor values = at::empty(shape, options);
  RandomStream stream(seed, Purpose::initial_weights, 0, hash_name(name));
  auto* data = values.mutable_data_ptr<double>();
  if (init == Init::unit_uniform) {
    std::generate_n(data, values.numel(), [&stream] { return stream.uniform(); });
    return values;
  }
  const double deviation = standard_deviation(shape, init);
  const bool is_uniform = init == Init::xavier_uniform || init == Init::fan_in_uniform;
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    data[i] = deviation * (is_uniform ? std::numbers::sqrt3 * (2.0 * stream.uniform() - 1.0) : stream.normal());
  }
  return values;
}

/// The part of a flat buffer that holds a tensor of this shape; four-dimensional ones are channels-last in it.
at::Tensor view_of(const at::Tensor& flat, std::int64_t offset, at::IntArrayRef shape, std::int64_t numel) {
  const at::Tensor part = flat.narrow(0, offset, numel);
  if (shape.size() == 4) {
    return part.view({shape[0], shape[2], shape[3], shape[1]}).permute({0, 3, 1, 2});
  }
  return part.view(shape);
}

}  // namespace

ParameterSet::ParameterSet(std::uint64_t seed, at::Device device, at::ScalarType dtype)
    : seed_(seed), device_(device), dtype_(dtype) {}

at::Tensor ParameterSet::parameter(const std::string& name, at::IntArrayRef shape, Init init) {
  const auto options = at::TensorOptions().dtype(dtype_).device(device_);
  // The meta device has shapes only: nothing is drawn for it.
  at::Tensor tensor =
      device_.is_meta() ? at::empty(shape, options) : initial_values(seed_, name, shape, init).to(options);
  tensor.set_requires_grad(true);
  parameters_.push_back({name, tensor});
  return tensor;
}

at::Tensor ParameterSet::buffer(const std::string& name, at::IntArrayRef shape, double value) {
  at::Tensor tensor = at::full(shape, value, at::TensorOptions().dtype(dtype_).device(device_));
  buffers_.push_back({name, tensor});
  return tensor;
}

void ParameterSet::flatten() {
  check(!flat_values_.defined(), "ParameterSet::flatten() was called twice");
  const auto options = at::TensorOptions().dtype(dtype_).device(device_);
  flat_values_ = at::empty({num_parameters()}, options);
  flat_gradients_ = at::zeros({num_parameters()}, options);
  std::int64_t offset = 0;
  const c10::NoGradGuard no_grad;
  for (const auto& [name, tensor] : parameters_) {
    const at::Tensor values = view_of(flat_values_, offset, tensor.sizes(), tensor.numel());
    values.copy_(tensor.detach());
    tensor.set_data(values);
    tensor.mutable_grad() = view_of(flat_gradients_, offset, tensor.sizes(), tensor.numel());
    offset += tensor.numel();
  }
}

void ParameterSet::freeze() {
  flat_gradients_.reset();
  for (const NamedTensor& parameter : parameters_) {
    parameter.tensor.mutable_grad().reset();
    parameter.tensor.set_requires_grad(false);
  }
}

at::Tensor ParameterSet::part_of(const at::Tensor& flat, std::size_t first, std::size_t last) const {
  std::int64_t begin = 0;
  std::int64_t size = 0;
  for (std::size_t i = 0; i < last; ++i) {
    (i < first ? begin : size) += parameters_[i].tensor.numel();
  }
  return flat.narrow(0, begin, size);
}

std::int64_t ParameterSet::num_parameters(std::string_view prefix) const {
  std::int64_t count = 0;
  for (const auto& [name, tensor] : parameters_) {
    if (name.starts_with(prefix)) {
      count += tensor.numel();
    }
  }
  return count;
}

}  // namespace xtasc::model
