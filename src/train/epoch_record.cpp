#include "train/epoch_record.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/log.hpp"
#include "task/task.hpp"
#include "train/conflict.hpp"
#include "train/schedule.hpp"
#include "train/step.hpp"
#include "train/transfers.hpp"

namespace xtasc::train {

bool counts_by_term(const config::RunConfig& config, const data::Dataset& train) {
  return draws_transfers(config) || std::ranges::any_of(train.label_keys(), [&train](const std::string& key) {
           return train.num_with_labels(key) < train.size();
         });
}

std::string loss_text(const std::vector<double>& losses, const loss::Objective& objective) {
  std::string text = fmt::format("loss {:.4f}", losses.back());
  for (std::size_t task = 0; task < objective.tasks().size(); ++task) {  // whose direct losses are the first terms
    text += fmt::format(" {} {:.4f}", objective.terms()[task].name, losses[task]);
  }
  return text;
}

std::map<std::string, double> mean_train_losses(const Progress& progress, const loss::Objective& objective) {
  std::map<std::string, double> losses;
  const std::vector<std::string> names = loss_names(objective);
  for (std::size_t k = 0; k < names.size(); ++k) {
    const bool is_told = k < progress.epoch_term_images.size();
    const double images = is_told ? progress.epoch_term_images[k] : static_cast<double>(progress.epoch_images);
    if (images > 0.0) {
      losses[names[k]] = progress.epoch_loss_sums[k] / images;
    }
  }
  return losses;
}

at::Tensor epoch_losses(const Progress& progress, const config::RunConfig& config, const Learner& learner) {
  const at::Tensor sums = at::tensor(progress.epoch_loss_sums, at::kDouble);
  if (progress.epoch_term_images.empty()) {
    return task_losses(sums / static_cast<double>(progress.epoch_images), *learner.objective);
  }
  const at::Tensor images = at::tensor(progress.epoch_term_images, at::kDouble);
  return task_losses(sums.narrow(0, 0, images.size(0)) / images.clamp_min(1.0),
                     *objective_of(config, learner.net, TransfersOf::evaluation));
}

std::map<std::string, double> mean_task_weights(const Progress& progress, const loss::Objective& objective) {
  const task::Tasks& tasks = objective.tasks();
  std::map<std::string, double> weights;
  for (std::size_t task = 0; task < tasks.size() && tasks.size() > 1 && progress.epoch_images > 0; ++task) {
    weights[std::string(tasks[task].key)] =
        progress.epoch_weight_sums[task] / static_cast<double>(progress.epoch_images);
  }
  return weights;
}

void warn_of_small_weights(const run::EpochRecord& record, double smallest) {
  for (const auto& [task, weight] : record.task_weight) {
    if (weight < smallest) {
      log_warning(
          "the mean weight of {} in epoch {} is {:.1e}: it learns next to nothing; a larger "
          "weighting.temperature makes the weights more even",
          task, record.epoch, weight);
    }
  }
}

void set_evaluation(run::EpochRecord& record, const Evaluation& evaluation) {
  record.val_loss = evaluation.losses;
  record.paper = evaluation.report.paper;
  record.dataset = evaluation.report.dataset;
  record.consistency = evaluation.consistency;
  record.class_iou = evaluation.report.class_iou;
}

run::EpochRecord record_of(const config::RunConfig& config, const Learner& learner, const Progress& progress,
                           const Evaluation& evaluation, bool is_of_holdout) {
  run::EpochRecord record;
  set_evaluation(record, evaluation);
  record.epoch = progress.epoch + 1;
  record.step = progress.step;
  record.train_loss = mean_train_losses(progress, *learner.objective);
  record.task_weight = mean_task_weights(progress, *learner.objective);
  record.gradients = conflicts_of_epoch(progress.epoch_conflict_sums, learner.net.tasks());
  record.is_best = record.val_loss.at("total") < progress.best_val_loss;
  record.images_per_second = static_cast<double>(progress.epoch_images) / progress.epoch_seconds;
  record.is_of_holdout = is_of_holdout;
  record.is_end_of_patience =
      record.epoch < config.train.epochs &&
      is_out_of_patience(config.train, record.epoch, record.is_best ? record.epoch : progress.best_epoch);
  return record;
}

std::string evaluation_text(const run::EpochRecord& record) {
  std::string text =
      fmt::format("{} loss {:.4f}", record.is_of_holdout ? "held-out" : "val", record.val_loss.at("total"));
  for (const task::Task& task : task::all()) {
    for (const task::Metric& metric : task.metrics) {
      if (const auto found = record.paper.find(std::string(metric.key)); found != record.paper.end()) {
        text += fmt::format(", {} {:.{}f}", metric.header, found->second * metric.factor, metric.decimals);
      }
    }
  }
  return text;
}

std::string epoch_text(const run::EpochRecord& record, std::int64_t epochs) {
  return fmt::format("epoch {}/{}: train loss {:.4f}, {}, {:.1f} images/s{}", record.epoch, epochs,
                     record.train_loss.at("total"), evaluation_text(record), record.images_per_second,
                     record.is_best ? ", best so far" : "");
}

}  // namespace xtasc::train
