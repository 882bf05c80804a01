#pragma once

// What the CPU's own convolutions share: tensors as the kernels see them, and work shared among threads.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

#include "kernels/convolution.hpp"
#include "kernels/tiles/tiled_convolution.hpp"
#include "kernels/winograd/winograd_avx512.hpp"

namespace xtasc::kernels::parts {

using winograd::Element;

inline Element element_of(at::ScalarType type) {
  switch (type) {
    case at::kDouble:
      return Element::float64;
    case at::kFloat:
      return Element::float32;
    default:
      return multiplies_tiles(type) ? Element::tiled_bfloat16 : Element::bfloat16;
  }
}

inline winograd::Size size_of(const at::Tensor& x_nchw) {
  return {x_nchw.size(0), x_nchw.size(2), x_nchw.size(3)};
}

inline winograd::Source source_of(const Joined& x) {
  winograd::Source source;
  source.data[0] = x.first.const_data_ptr();
  source.channels[0] = x.first.size(1);
  if (x.second.defined()) {
    source.data[1] = x.second.const_data_ptr();
    source.channels[1] = x.second.size(1);
  }
  return source;
}

inline winograd::Target target_of(const Joined& y) {
  winograd::Target target;
  target.data[0] = y.first.mutable_data_ptr();
  target.channels[0] = y.first.size(1);
  if (y.second.defined()) {
    target.data[1] = y.second.mutable_data_ptr();
    target.channels[1] = y.second.size(1);
  }
  return target;
}

inline std::int64_t channels_of(const Joined& x) {
  return x.first.size(1) + (x.second.defined() ? x.second.size(1) : 0);
}

inline at::Tensor empty_maps(const winograd::Size& size, std::int64_t channels, const at::Tensor& like) {
  return at::empty({size.images, channels, size.height, size.width},
                   like.options().requires_grad(false).memory_format(at::MemoryFormat::ChannelsLast));
}

inline Joined empty_like(const Joined& x) {
  const auto empty = [](const at::Tensor& part) {
    return part.defined() ? empty_maps(size_of(part), part.size(1), part) : at::Tensor();
  };
  return {empty(x.first), empty(x.second)};
}

/// Calls work(part, first, last) for each thread's share of [0, count). The shares depend on the number of threads
/// only.
template <typename Work>
void share(std::int64_t count, std::int64_t num_parts, const Work& work) {
  at::parallel_for(0, num_parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      work(part, count * part / num_parts, count * (part + 1) / num_parts);
    }
  });
}

/// As many parts as there are threads to share `count` pieces.
inline std::int64_t parts_for(std::int64_t count) {
  return std::clamp<std::int64_t>(count, 1, at::get_num_threads());
}

/// Memory of each thread's own.
class PerThread {
 public:
  PerThread(std::int64_t num_parts, std::int64_t bytes) : memory_(at::empty({num_parts, bytes}, at::kByte)) {}

  [[nodiscard]] void* of(std::int64_t part) const {
    return static_cast<std::uint8_t*>(memory_.mutable_data_ptr()) + part * memory_.size(1);
  }
  [[nodiscard]] void* zeros_of(std::int64_t part) const {
    std::fill_n(static_cast<std::uint8_t*>(of(part)), memory_.size(1), std::uint8_t{0});
    return of(part);
  }
  [[nodiscard]] const at::Tensor& memory() const { return memory_; }

 private:
  at::Tensor memory_;
};

/// The channels [offset, offset + size) of a weight's inputs.
struct Slice {
  std::int64_t offset, size;
};

/// \param transform  winograd's or upsampled's transform_weight; \param num_taps  16 or 9
template <typename Transform>
at::Tensor transformed(const at::Tensor& weight, const Slice& slice, bool backward, at::ScalarType compute,
                       std::int64_t num_taps, const Transform& transform) {
  const Element element = element_of(compute);
  const std::int64_t out = weight.size(0);
  at::Tensor panel = at::empty({num_taps * out * slice.size}, weight.options().dtype(compute).requires_grad(false));
  const auto* first_channel =
      static_cast<const char*>(weight.const_data_ptr()) + slice.offset * static_cast<std::int64_t>(weight.itemsize());
  const winograd::WeightTransform work = {.weight = first_channel,
                                          .out = out,
                                          .in = slice.size,
                                          .stride = weight.size(1),
                                          .backward = backward,
                                          .panel = panel.mutable_data_ptr()};
  const std::int64_t count = (backward ? slice.size : out) / winograd::lanes_of(element);
  share(count, parts_for(count),
        [&](std::int64_t, std::int64_t first, std::int64_t last) { transform(element, work, first, last); });
  return panel;
}

/// Sums of all threads -> that slice of the weight's gradient. \param finish  the finish_weight_gradient to match
template <typename Finish>
void finish_gradient(const PerThread& sums, const Slice& slice, const at::Tensor& gradient, const Finish& finish) {
  const Element element = element_of(gradient.scalar_type());
  const std::int64_t out = gradient.size(0);
  auto* first_channel =
      static_cast<char*>(gradient.mutable_data_ptr()) + slice.offset * static_cast<std::int64_t>(gradient.itemsize());
  const winograd::WeightSums work = {.sums = sums.memory().const_data_ptr(),
                                     .num_sums = sums.memory().size(0),
                                     .out = out,
                                     .in = slice.size,
                                     .stride = gradient.size(1),
                                     .weight = first_channel};
  const std::int64_t count = out / winograd::lanes_of(element);
  share(count, parts_for(count),
        [&](std::int64_t, std::int64_t first, std::int64_t last) { finish(element, work, first, last); });
}

inline at::Tensor sum_of_bias(const PerThread& bias, at::ScalarType type) {
  return bias.memory().view(type).sum(0);
}

/// y = x times a slice of the weight, by Winograd.
struct WinogradProduct {
  Joined x;
  at::Tensor gate;  ///< of x, or undefined
  at::Tensor weight, bias;
  Slice slice;
  bool backward = false;  ///< x is a gradient, y that of the input
  bool relu = false;
  Joined y;
};
void run(const WinogradProduct& work);

/// Writes a slice of the gradient of the weight. \returns that of the bias
at::Tensor gradient_of_weight(const Joined& x, const at::Tensor& grad_y, const at::Tensor& gate, const Slice& slice,
                              const at::Tensor& gradient);

/// May the CPU's own kernels take these at all? Takes no account of the size of the maps.
[[nodiscard]] bool suits_kernels(const Joined& x, const Convolution& convolution, at::ScalarType compute);

}  // namespace xtasc::kernels::parts
