#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "launch/predict/facts.hpp"
#include "launch/predict/kinds.hpp"
#include "task/task.hpp"

namespace xtasc::launch {

/// What is written of an image.
struct ResultForm {
  bool at_net_size = false;  ///< maps have the net's size instead of the image's own
  bool has_tensors = false;  ///< also NAME.pt, a dict by task of what the net gave: (1, channels, H, W) at its own size
};

/// The folder that predictions are written to. predictions.json in it, which is written before the first result, says
/// what they are of and what their numbers mean: the weights and how images were resized, classes, the unit of depth.
class Results {
 public:
  /// \param tasks  of the net, those whose predictions are written
  Results(std::filesystem::path folder, task::Tasks tasks, ResultForm form);

  /// Makes the folder, and prepares its predictions.json. With `skips_existing` one that is there stays, and tells
  /// which results in the folder are these weights': those that are not older. \throws Error  (exit code 2) where that
  /// is of other weights, or of images that were resized otherwise
  void begin(const LoadedModel& model, const DataFacts& facts, bool skips_existing);

  /// Whether all files of an image are there, and not older than predictions.json was at begin().
  [[nodiscard]] bool are_there(const std::filesystem::path& name) const;

  /// Writes an image's maps. \param predictions  (1, channels, H, W) by the task's key, at the net's size \param
  /// height, width  the image's own \throws Error with the path and the system's reason
  void write(const std::map<std::string, at::Tensor, std::less<>>& predictions, const std::filesystem::path& name,
             std::int64_t height, std::int64_t width) const;

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] const task::Tasks& tasks() const { return tasks_; }

 private:
  std::filesystem::path folder_;
  task::Tasks tasks_;
  ResultForm form_;
  std::string facts_{};  ///< of predictions.json, to be written with the first result; empty: it is there
  std::filesystem::file_time_type begun_ = std::filesystem::file_time_type::max();  ///< max: no result is there yet
  mutable std::once_flag facts_are_written_{};
};

}  // namespace xtasc::launch
