#include "metric/metrics.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <string_view>

#include "core/error.hpp"

namespace xtasc::metric {

namespace {

/// Makers of the tasks whose metrics are not those of their kind, by the task's key.
std::map<std::string, MakeTaskMetrics, std::less<>>& own_makers() {
  static std::map<std::string, MakeTaskMetrics, std::less<>> rows;
  return rows;
}

const at::Tensor& tensor_of(const ByTask& tensors, const task::Task& task, std::string_view what) {
  const auto found = tensors.find(task.key);
  check(found != tensors.end() && found->second.defined(), "the metrics of task \"{}\" need its {} in every batch",
        task.key, what);
  return found->second;
}

void merge(Values& all, const Values& more, const task::Task& task) {
  for (const auto& [name, value] : more) {
    check(all.emplace(name, value).second, "task \"{}\" measures {}, which another task measures as well", task.key,
          name);
  }
}

}  // namespace

std::unique_ptr<TaskMetrics> make_task_metrics(const TaskMetricsOptions& options) {
  if (const auto own = own_makers().find(options.task.key); own != own_makers().end()) {
    return own->second(options);
  }
  switch (options.task.kind) {
    case task::Kind::classes:
      return make_class_metrics(options);
    case task::Kind::depth:
      return make_depth_metrics(options);
    case task::Kind::unit_vector:
      return make_normal_metrics(options);
  }
  fail("nothing measures task \"{}\"", options.task.key);
}

void add_task_metrics(std::string_view task, MakeTaskMetrics make) {
  check(own_makers().emplace(task, make).second, "task \"{}\" has metrics of its own already", task);
}

Metrics::Metrics(const task::Tasks& tasks, std::int64_t num_classes, at::Device device) : tasks_(tasks) {
  for (const task::Task& task : tasks_) {
    of_tasks_.push_back(make_task_metrics({.task = task, .num_classes = num_classes, .device = device}));
  }
}

void Metrics::add(const ByTask& predictions, const ByTask& truth) {
  const c10::NoGradGuard no_grad;
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    const at::Tensor& target = tensor_of(truth, tasks_[t], "truth");
    const auto flags = truth.find(task::flags_key(tasks_[t].key));
    const at::Tensor num_labelled =
        flags != truth.end() ? flags->second.sum().to(at::kDouble)
                             : at::full({}, static_cast<double>(target.size(0)), target.options().dtype(at::kDouble));
    of_tasks_[t]->add(tensor_of(predictions, tasks_[t], "prediction"), target, num_labelled);
  }
}

void Metrics::sum_over_ranks(const std::function<void(const at::Tensor&)>& sum) const {
  for (const auto& of_task : of_tasks_) {
    for (const at::Tensor& tensor : of_task->sums()) {
      sum(tensor);
    }
  }
}

Report Metrics::report() const {
  Report report;
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    Report of_task = of_tasks_[t]->report();
    merge(report.paper, of_task.paper, tasks_[t]);
    merge(report.dataset, of_task.dataset, tasks_[t]);
    check(report.class_iou.empty() || of_task.class_iou.empty(),
          "task \"{}\" measures the IoU of classes, which another task measures as well", tasks_[t].key);
    if (!of_task.class_iou.empty()) {
      report.class_iou = std::move(of_task.class_iou);
    }
  }
  return report;
}

}  // namespace xtasc::metric
