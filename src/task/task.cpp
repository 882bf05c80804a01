#include "task/task.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "core/error.hpp"

namespace xtasc::task {

namespace {

constexpr std::array<Metric, 2> kClassMetrics = {{
    {.key = "miou", .header = "mIoU", .unit = "%", .factor = 100.0, .higher_is_better = true},
    {.key = "pix_acc", .header = "PixAcc", .print = "Pix Acc", .unit = "%", .factor = 100.0, .higher_is_better = true},
}};
constexpr std::array<Metric, 2> kDepthMetrics = {{
    {.key = "abs_err", .header = "AbsErr", .print = "Abs Err", .unit = kDepthUnit, .decimals = 4},
    {.key = "rel_err", .header = "RelErr", .print = "Rel Err", .unit = "ratio", .decimals = 4, .digits = 4},
}};
constexpr std::array<std::string_view, 7> kFurtherOfDepth = {"rmse",    "irmse",   "log_irmse", "sq_rel",
                                                             "delta_1", "delta_2", "delta_3"};

constexpr std::array<Metric, 5> kNormalMetrics = {{
    {.key = "angle_mean", .header = "Mean angle", .unit = "degrees"},
    {.key = "angle_median", .header = "Median angle", .unit = "degrees"},
    {.key = "within_11", .header = "Within 11.25", .unit = "%", .factor = 100.0, .higher_is_better = true},
    {.key = "within_22", .header = "Within 22.5", .unit = "%", .factor = 100.0, .higher_is_better = true},
    {.key = "within_30", .header = "Within 30", .unit = "%", .factor = 100.0, .higher_is_better = true},
}};

std::vector<std::string_view> keys_of(const Task& task) {
  std::vector<std::string_view> keys(task.further.begin(), task.further.end());
  std::ranges::transform(task.metrics, std::back_inserter(keys), &Metric::key);
  return keys;
}

std::vector<Task>& rows() {
  static std::vector<Task> rows = {
      {.name = "segmentation",
       .key = "seg",
       .kind = Kind::classes,
       .channels = 0,
       .truth = "label",
       .metrics = kClassMetrics},
      {.name = "depth",
       .key = "depth",
       .kind = Kind::depth,
       .channels = 1,
       .truth = "depth",
       .metrics = kDepthMetrics,
       .further = kFurtherOfDepth},
      {.name = "normals",
       .key = "normals",
       .kind = Kind::unit_vector,
       .channels = 3,
       .truth = "normals",
       .metrics = kNormalMetrics},
  };
  return rows;
}

}  // namespace

std::span<const Task> all() {
  return rows();
}

const Task& of_key(std::string_view key) {
  const auto found = std::ranges::find(rows(), key, &Task::key);
  check(found != rows().end(), "there is no task \"{}\"", key);
  return *found;
}

std::string flags_key(std::string_view task) {
  return fmt::format("{}.has", task);
}

void add(const Task& task) {
  check(std::ranges::find(rows(), task.key, &Task::key) == rows().end(), "there is a task \"{}\" already", task.key);
  for (const std::string_view key : keys_of(task)) {
    for (const Task& other : rows()) {
      check(std::ranges::count(keys_of(other), key) == 0, "task \"{}\": \"{}\" is a metric of task \"{}\" already",
            task.key, key, other.key);
    }
  }
  rows().push_back(task);
}

}  // namespace xtasc::task
