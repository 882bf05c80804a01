#include "task/task.hpp"

#include <algorithm>
#include <array>

#include "core/error.hpp"

namespace xtasc::task {

namespace {

constexpr std::array<Metric, 2> kClassMetrics = {{
    {.key = "miou", .header = "mIoU", .factor = 100.0, .decimals = 2, .higher_is_better = true},
    {.key = "pix_acc", .header = "PixAcc", .factor = 100.0, .decimals = 2, .higher_is_better = true},
}};
constexpr std::array<Metric, 2> kDepthMetrics = {{
    {.key = "abs_err", .header = "AbsErr", .factor = 1.0, .decimals = 4, .higher_is_better = false},
    {.key = "rel_err", .header = "RelErr", .factor = 1.0, .decimals = 4, .higher_is_better = false},
}};

std::vector<Task>& rows() {
  static std::vector<Task> rows = {
      {.name = "segmentation",
       .key = "seg",
       .kind = Kind::classes,
       .channels = 0,
       .truth = "label",
       .metrics = kClassMetrics},
      {.name = "depth", .key = "depth", .kind = Kind::depth, .channels = 1, .truth = "depth", .metrics = kDepthMetrics},
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

void add(const Task& task) {
  check(std::ranges::find(rows(), task.key, &Task::key) == rows().end(), "there is a task \"{}\" already", task.key);
  rows().push_back(task);
}

}  // namespace xtasc::task
