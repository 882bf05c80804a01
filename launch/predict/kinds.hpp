#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "figure/panel.hpp"
#include "task/task.hpp"

namespace xtasc::launch {

/// A task's prediction or truth for one picture, as its kind has it: class ids, or values of all channels.
struct Map {
  std::vector<std::uint8_t> classes;
  std::vector<float> values;
};
using MapByTask = std::map<std::string_view, Map>;  ///< by the task's key

template <typename T>
std::vector<T> values_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kCPU, c10::CppTypeToScalarType<T>::value).contiguous();
  const T* data = flat.const_data_ptr<T>();
  return {data, data + flat.numel()};
}

/// How a kind of task is written, and drawn in the panel: class ids by the palette, numbers by the colour map, normals
/// by their direction.
struct KindOutput {
  task::Kind kind;
  Map (*map_of)(const at::Tensor& prediction);    ///< (1, channels, H, W)
  Map (*map_of_truth)(const at::Tensor& target);  ///< as data::Batch::targets has it
  /// Writes the files STEM and each of `endings`, atomically. \param stem  of their names
  void (*write)(const Map& map, const std::string& stem, std::int64_t channels, std::int64_t height,
                std::int64_t width);
  std::span<const std::string_view> endings;
  figure::MapKind drawn;
  std::string_view plural;  ///< behind Task::truth in the heads of the panel: "labels: truth"
};

/// \throws Error when its kind is in no row here
[[nodiscard]] const KindOutput& output_of(const task::Task& task);

/// What the files of a task's results are called behind the picture's own name: "_label".
[[nodiscard]] std::string name_ending(const task::Task& task);

}  // namespace xtasc::launch
