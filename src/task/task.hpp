#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// What can be predicted of an image, one row a task. A new task is a row here, the losses and metrics of its kind, and
// the data set's files that hold its truth.
namespace xtasc::task {

/// What a task's prediction and truth are, and with that its losses, its metrics and what counts as valid.
enum class Kind {
  classes,  ///< logits; the truth is a class id, 255 where unknown
  depth,    ///< a positive number a channel; the truth is 0 where unknown
  /// a vector, of which only the direction counts: n / max(|n|, kMinLength); the truth is one of length 1, 0 where
  /// unknown
  unit_vector,
};

/// A predicted vector that is shorter is divided by this instead of its length.
inline constexpr double kMinLength = 1e-12;

/// A label that counts nowhere.
inline constexpr std::int64_t kIgnoreLabel = 255;

/// Metric::unit of what is in the unit of the pack's depth, which may be metres, inverse depth, or not known.
inline constexpr std::string_view kDepthUnit = "depth";

/// One measure of a task, and how people read it. Each has columns in the tables, panels in the figures, a p in a
/// sweep's table and a place in the log.
struct Metric {
  std::string_view key;         ///< in metrics.jsonl and CSV files: "miou"
  std::string_view header;      ///< in tables: "mIoU"
  std::string_view print = {};  ///< as the paper spells it: "Pix Acc"; empty: as the header
  std::string_view unit = {};   ///< behind the header: "%"; kDepthUnit; empty: none
  double factor = 1.0;          ///< of the stored value for the eye: 100 for a share in percent
  int decimals = 2;             ///< for the eye
  int digits = 0;               ///< of a value alone, without a deviation: those that count; 0: `decimals`
  bool higher_is_better = false;
  bool in_delta_m = true;  ///< one of those that Delta_m (eq. 17) is the mean over
};

/// A row of the table of tasks.
struct Task {
  std::string_view name;  ///< "segmentation"
  std::string_view key;   ///< in parameters' names, losses and files: "seg"
  Kind kind;
  std::int64_t channels;            ///< of the prediction; 0: one a class of the labels
  std::string_view truth;           ///< what a pixel of the truth is called, and a file of predictions: "label"
  std::span<const Metric> metrics;  ///< those that are shown, in the tables' order
  std::span<const std::string_view> further = {};  ///< keys of what is measured too, for metrics.jsonl and CSV files

  /// \param num_classes  of the labels
  [[nodiscard]] std::int64_t num_channels(std::int64_t num_classes) const {
    return channels == 0 ? num_classes : channels;
  }
};

/// All tasks, in the order in which everything lists them.
[[nodiscard]] std::span<const Task> all();

/// \throws Error when there is none of that key
[[nodiscard]] const Task& of_key(std::string_view key);

/// Under what name a batch's targets say which images have labels of the task, where some have none: "seg.has", (N)
/// uint8.
[[nodiscard]] std::string flags_key(std::string_view task);

/// One row more, for tasks that live outside of this source tree. Before anything is read.
/// \throws Error when there is one of that key already, or a metric of one of its keys
void add(const Task& task);

/// The tasks of one net, in their order.
using Tasks = std::vector<Task>;

}  // namespace xtasc::task
