#include "loss/objective.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/error.hpp"
#include "loss/fused.hpp"
#include "loss/transferred.hpp"

namespace xtasc::loss {

namespace {

/// A prediction held to the task's truth.
SummedLoss direct_loss(const task::Task& task, const config::LossSection& options, const at::Tensor& prediction,
                       const at::Tensor& truth) {
  switch (task.kind) {
    case task::Kind::classes:
      return cross_entropy(prediction, truth);
    case task::Kind::depth:
      return depth_loss(options.depth, prediction, truth, truth > 0);
  }
  fail("unknown kind of task {}", static_cast<int>(task.kind));
}

/// Held to the direct depth, where the true one is known.
SummedLoss consistent_depth(config::TransferredDepthLoss kind, const at::Tensor& transferred, const at::Tensor& direct,
                            const at::Tensor& truth) {
  switch (kind) {
    case config::TransferredDepthLoss::l1:
      return depth_loss(config::DepthLoss::l1, transferred, direct.detach(), truth > 0);
    case config::TransferredDepthLoss::ssim:
      return ssim_depth(transferred, direct.detach(), truth > 0);
  }
  fail("unknown transferred depth loss {}", static_cast<int>(kind));
}

/// Held to the direct segmentation on labelled pixels.
SummedLoss consistent_segmentation(const config::LossSection& options, const at::Tensor& transferred,
                                   const at::Tensor& direct, const at::Tensor& labels_nhw) {
  const at::Tensor is_ignored = labels_nhw == task::kIgnoreLabel;
  if (options.transferred_segmentation == config::TransferredSegmentationLoss::cross && !options.soft_target &&
      options.label_smoothing == 0.0) {  // hard labels need no distribution in memory
    const at::Tensor best = direct.detach().argmax(1);
    return cross_entropy(transferred, best.masked_fill(is_ignored, task::kIgnoreLabel));
  }
  const at::Tensor target =
      target_distribution(direct, {.soft = options.soft_target, .smoothing = options.label_smoothing});
  return distribution_loss(options.transferred_segmentation, transferred, target, ~is_ignored);
}

/// A transferred prediction held to the task's direct one.
SummedLoss consistent_loss(const task::Task& task, const config::LossSection& options, const at::Tensor& transferred,
                           const at::Tensor& direct, const at::Tensor& truth) {
  switch (task.kind) {
    case task::Kind::classes:
      return consistent_segmentation(options, transferred, direct, truth);
    case task::Kind::depth:
      return consistent_depth(options.transferred_depth, transferred, direct, truth);
  }
  fail("unknown kind of task {}", static_cast<int>(task.kind));
}

std::size_t index_of(const task::Tasks& tasks, std::string_view key) {
  const auto found = std::ranges::find(tasks, key, &task::Task::key);
  check(found != tasks.end(), "there is no task \"{}\" here", key);
  return static_cast<std::size_t>(found - tasks.begin());
}

std::vector<Term> terms_of(const config::LossSection& options, const task::Tasks& tasks,
                           const std::vector<model::Transfer>& transfers) {
  const auto num_from = [&](std::string_view key) {
    return static_cast<double>(std::ranges::count(transfers, key, &model::Transfer::from));
  };
  const auto lambda = [&](std::size_t task) {
    return num_from(tasks[task].key) == 0.0 ? 0.0 : task == 0 ? options.lambda_1 : options.lambda_2;
  };
  std::vector<Term> terms;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    terms.push_back({.name = std::string(tasks[i].key), .counts_to = i, .share = 1.0 - lambda(i)});
  }
  for (const model::Transfer& transfer : transfers) {
    const std::size_t i = index_of(tasks, transfer.from);
    static_cast<void>(index_of(tasks, transfer.to));
    terms.push_back({.name = transfer.name(), .counts_to = i, .share = lambda(i) / num_from(transfer.from)});
  }
  return terms;
}

class ConsistencyObjective final : public Objective {
 public:
  ConsistencyObjective(config::Consistency consistency, const config::LossSection& options, const task::Tasks& tasks,
                       const std::vector<model::Transfer>& transfers)
      : Objective(tasks, terms_of(options, tasks, transfers)), consistency_(consistency), options_(options) {}

  [[nodiscard]] std::vector<SummedLoss> losses(const model::Predictions& predictions, const Targets& targets,
                                               LossForm form) const override {
    check_predictions(predictions, targets);
    if (form == LossForm::fused) {
      const FusedTerms fused = fused_terms(tasks(), consistency_, options_, predictions);
      if (suits_fused(fused, predictions)) {
        return fused_losses(fused, predictions, targets);
      }
    }
    std::vector<SummedLoss> losses;
    for (const task::Task& task : tasks()) {
      losses.push_back(direct_loss(task, options_, predictions.of(task.key), targets.find(task.key)->second));
    }
    for (const auto& [transfer, prediction] : predictions.transferred) {
      const task::Task& to = tasks()[index_of(tasks(), transfer.to)];
      const at::Tensor& truth = targets.find(to.key)->second;
      losses.push_back(holds_to_direct(consistency_)
                           ? consistent_loss(to, options_, prediction, predictions.of(to.key), truth)
                           : direct_loss(to, options_, prediction, truth));
    }
    return losses;
  }

 private:
  /// Every task is predicted and has a truth of its shape, and the transferred predictions are those of the terms.
  void check_predictions(const model::Predictions& predictions, const Targets& targets) const {
    for (const task::Task& task : tasks()) {
      const at::Tensor direct = predictions.of(task.key);
      const auto truth = targets.find(task.key);
      check(direct.defined() && direct.dim() == 4, "the network predicts no {}", task.name);
      check(truth != targets.end(), "the batch holds no truth of {}", task.name);
      const std::vector<std::int64_t> labels = {direct.size(0), direct.size(2), direct.size(3)};
      check(truth->second.sizes() == (task.kind == task::Kind::classes ? at::IntArrayRef(labels) : direct.sizes()),
            "{}: prediction {} and truth {} disagree", task.name, fmt::join(direct.sizes(), " x "),
            fmt::join(truth->second.sizes(), " x "));
    }
    check(tasks().size() + predictions.transferred.size() == terms().size(),
          "{} transferred predictions, {} are expected", predictions.transferred.size(),
          terms().size() - tasks().size());
    for (std::size_t i = 0; i < predictions.transferred.size(); ++i) {
      const auto& [transfer, prediction] = predictions.transferred[i];
      const std::string& expected = terms()[tasks().size() + i].name;
      check(transfer.name() == expected, "transferred prediction {} where {} is expected", transfer.name(), expected);
      check(prediction.sizes() == predictions.of(transfer.to).sizes(),
            "{}: prediction {} and direct prediction {} disagree", expected, fmt::join(prediction.sizes(), " x "),
            fmt::join(predictions.of(transfer.to).sizes(), " x "));
    }
  }

  config::Consistency consistency_;
  config::LossSection options_;
};

}  // namespace

bool holds_to_direct(config::Consistency consistency) {
  switch (consistency) {
    case config::Consistency::xtc:
      return true;
    case config::Consistency::align:
    case config::Consistency::none:  // there is nothing to hold
      return false;
  }
  fail("unknown kind of consistency {}", static_cast<int>(consistency));
}

std::unique_ptr<Objective> make_objective(config::Consistency consistency, const config::LossSection& options,
                                          const task::Tasks& tasks, const std::vector<model::Transfer>& transfers) {
  check((consistency == config::Consistency::none) == transfers.empty(),
        "a system {} consistency has a network with {} transferred predictions",
        consistency == config::Consistency::none ? "without" : "with", transfers.size());
  return std::make_unique<ConsistencyObjective>(consistency, options, tasks, transfers);
}

}  // namespace xtasc::loss
