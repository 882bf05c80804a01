#include "events/epoch_numbers.hpp"

#include <algorithm>
#include <map>

#include "core/error.hpp"
#include "task/task.hpp"

namespace xtasc::events {

namespace {

using Values = std::map<std::string, double>;

/// "seg/mIoU": the task that a metric is of, and its name in the log, without spaces.
std::string metric_path(const std::string& key) {
  for (const task::Task& task : task::all()) {
    if (std::ranges::find(task.further, key) != task.further.end()) {
      return fmt::format("{}/{}", task.key, key);
    }
    const auto metric = std::ranges::find(task.metrics, key, &task::Metric::key);
    if (metric != task.metrics.end()) {
      std::string name(metric->header);
      std::ranges::replace(name, ' ', '_');
      return fmt::format("{}/{}", task.key, name);
    }
  }
  return key;
}

}  // namespace

std::vector<Number> numbers_of(const run::EpochRecord& record, const std::vector<std::string>& class_names) {
  std::vector<Number> numbers = {{"train/step", static_cast<double>(record.step)},
                                 {"train/learning_rate", record.learning_rate},
                                 {"train/images_per_second", record.images_per_second}};
  const auto add = [&numbers](const std::string& group, const Values& values) {
    for (const auto& [key, value] : values) {
      numbers.push_back({fmt::format("{}/{}", group, key), value});
    }
  };
  const auto add_losses = [&numbers](const std::string& group, const Values& values) {
    for (const auto& [term, value] : values) {
      numbers.push_back({term == "total" ? group : fmt::format("{}/{}", group, term), value});
    }
  };
  const auto add_metrics = [&numbers](const std::string& group, const Values& values) {
    for (const auto& [key, value] : values) {
      numbers.push_back({fmt::format("{}/{}", group, metric_path(key)), value});
    }
  };
  const std::string judged = record.is_of_holdout ? "holdout" : "val";
  add_losses("train/loss", record.train_loss);
  add_losses(judged + "/loss", record.val_loss);
  add_metrics(judged, record.paper);
  add_metrics(judged + "_dataset", record.dataset);
  for (std::size_t i = 0; i < record.class_iou.size(); ++i) {
    if (record.class_iou[i]) {
      const std::string name = i < class_names.size() ? "_" + class_names[i] : "";
      numbers.push_back({fmt::format("{}_dataset/iou/{}{}", judged, i, name), *record.class_iou[i]});
    }
  }
  add("consistency", record.consistency);
  add("weight", record.task_weight);
  for (const auto& [measure, by_pair] : record.gradients) {
    add("gradients/" + measure, by_pair);
  }
  add("seconds", record.seconds);
  for (const auto& [group, values] : record.machine) {
    add("machine/" + group, values);
  }
  return numbers;
}

}  // namespace xtasc::events
