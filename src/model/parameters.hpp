#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "net/layers.hpp"

namespace xtasc::model {

/// A tensor under the name that files have it by.
struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

using net::Init;

/// The trainable tensors and the buffers of a net, by name, in the order in which they were declared.
///
/// After flatten() all values lie in one dense tensor and all gradients in another of the same layout, so that the
/// gradient sum over ranks and the optimizer see two long vectors instead of hundreds of small ones. Convolution
/// weights are channels-last there.
class ParameterSet {
 public:
  /// \param seed   initial values are a function of (seed, name) alone
  /// \param dtype  float32 or float64: master weights, statistics and optimizer are never narrower
  ParameterSet(std::uint64_t seed, at::Device device, at::ScalarType dtype);

  /// Declares a trainable tensor. The returned handle stays valid through flatten().
  at::Tensor parameter(const std::string& name, at::IntArrayRef shape, Init init);
  /// Declares a tensor that is state but not trained.
  at::Tensor buffer(const std::string& name, at::IntArrayRef shape, double value);

  /// Moves all parameters into one buffer and gives each a gradient that is a view of another. Call once, after the
  /// last declaration.
  void flatten();

  /// Nothing trains them any more: their gradients' memory is given back.
  void freeze();

  [[nodiscard]] const std::vector<NamedTensor>& parameters() const { return parameters_; }
  [[nodiscard]] const std::vector<NamedTensor>& buffers() const { return buffers_; }
  /// The values, and the gradients, of parameters()[first] to, not with, parameters()[last]: views of the flat ones.
  [[nodiscard]] at::Tensor flat_values(std::size_t first, std::size_t last) const {
    return part_of(flat_values_, first, last);
  }
  [[nodiscard]] at::Tensor flat_gradients(std::size_t first, std::size_t last) const {
    return part_of(flat_gradients_, first, last);
  }
  /// Number of trainable scalars whose name starts with `prefix`.
  [[nodiscard]] std::int64_t num_parameters(std::string_view prefix = "") const;

  [[nodiscard]] const at::Tensor& flat_values() const { return flat_values_; }
  [[nodiscard]] const at::Tensor& flat_gradients() const { return flat_gradients_; }
  [[nodiscard]] at::Device device() const { return device_; }
  [[nodiscard]] at::ScalarType dtype() const { return dtype_; }

 private:
  [[nodiscard]] at::Tensor part_of(const at::Tensor& flat, std::size_t first, std::size_t last) const;

  std::uint64_t seed_;
  at::Device device_;
  at::ScalarType dtype_;
  std::vector<NamedTensor> parameters_;
  std::vector<NamedTensor> buffers_;
  at::Tensor flat_values_;
  at::Tensor flat_gradients_;
};

}  // namespace xtasc::model
