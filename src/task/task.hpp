#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

// What can be predicted of an image, one row a task. A new task is a row here, the losses and metrics of its kind, and
// the data set's files that hold its truth.
namespace xtasc::task {

/// What a task's prediction and truth are, and with that its losses, its metrics and what counts as valid.
enum class Kind {
  classes,  ///< logits; the truth is a class id, 255 where unknown
  depth,    ///< a positive number a channel; the truth is 0 where unknown
};

/// One measure of a task, and how people read it.
struct Metric {
  std::string_view key;     ///< in metrics.jsonl and CSV files: "miou"
  std::string_view header;  ///< in tables: "mIoU"
  double factor;            ///< of the stored value for the eye: 100 for a share in percent
  int decimals;             ///< for the eye
  bool higher_is_better;
};

struct Task {
  std::string_view name;  ///< "segmentation"
  std::string_view key;   ///< in parameters' names, losses and files: "seg"
  Kind kind;
  std::int64_t channels;            ///< of the prediction; 0: one a class of the labels
  std::string_view truth;           ///< what a pixel of the truth is called: "label"
  std::span<const Metric> metrics;  ///< those that Delta_m (eq. 17) is made of, in the tables' order

  /// \param num_classes  of the labels
  [[nodiscard]] std::int64_t num_channels(std::int64_t num_classes) const {
    return channels == 0 ? num_classes : channels;
  }
};

/// All tasks, in the order in which everything lists them.
[[nodiscard]] std::span<const Task> all();

/// \throws Error when there is none of that key
[[nodiscard]] const Task& of_key(std::string_view key);

/// One row more, for tasks that live outside of this source tree. Before anything is read.
void add(const Task& task);

/// The tasks of one net, in their order.
using Tasks = std::vector<Task>;

}  // namespace xtasc::task
