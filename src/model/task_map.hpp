#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "task/task.hpp"

namespace xtasc::model {

/// A task's prediction or truth for one image on the host, as its kind has it: class ids, or values of all channels,
/// unit vectors of length 1.
struct TaskMap {
  std::vector<std::uint8_t> classes;
  std::vector<float> values;
};

/// \param prediction  (1, channels, H, W)
[[nodiscard]] TaskMap predicted_map(const task::Task& task, const at::Tensor& prediction);

/// \param target  as data::Batch::targets has it, of one image
[[nodiscard]] TaskMap true_map(const task::Task& task, const at::Tensor& target);

/// The bytes of a tensor in its order.
[[nodiscard]] std::vector<std::uint8_t> bytes_of(const at::Tensor& tensor);

}  // namespace xtasc::model
