#include "loss/fused.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/error.hpp"
#include "kernels/losses/fused_losses.hpp"

namespace xtasc::loss {

namespace {

kernels::PointError point_error_of(config::DepthLoss kind) {
  switch (kind) {
    case config::DepthLoss::l1:
      return kernels::PointError::l1;
    case config::DepthLoss::mse:
      return kernels::PointError::mse;
    case config::DepthLoss::log_l1:
      return kernels::PointError::log_l1;
    case config::DepthLoss::smooth_l1:
      return kernels::PointError::smooth_l1;
  }
  fail("unknown depth loss {}", static_cast<int>(kind));
}

/// All predictions in the order of the terms.
std::vector<at::Tensor> in_order(const FusedTerms& fused, const model::Predictions& predictions) {
  std::vector<at::Tensor> all;
  for (const task::Task& task : fused.tasks) {
    all.push_back(predictions.of(task.key));
  }
  for (const auto& one : predictions.transferred) {
    all.push_back(one.tensor);
  }
  return all;
}

}  // namespace

FusedTerms fused_terms(const task::Tasks& tasks, config::Consistency consistency, const config::LossSection& options,
                       const model::Predictions& predictions) {
  FusedTerms fused{.are_plain = true, .tasks = tasks, .terms = {}};
  const bool is_xtc = holds_to_direct(consistency);
  const auto add = [&](std::size_t target, bool holds_to_direct) {
    const kernels::PointError error = tasks[target].kind == task::Kind::classes ? kernels::PointError::cross_entropy
                                      : holds_to_direct                         ? kernels::PointError::l1
                                                                                : point_error_of(options.depth);
    fused.terms.push_back({target, error, holds_to_direct});
  };
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    add(i, false);
  }
  for (const auto& one : predictions.transferred) {
    add(static_cast<std::size_t>(std::ranges::find(tasks, one.transfer.to, &task::Task::key) - tasks.begin()), is_xtc);
  }
  fused.are_plain = !is_xtc || (options.transferred_depth == config::TransferredDepthLoss::l1 &&
                                options.transferred_segmentation == config::TransferredSegmentationLoss::cross &&
                                !options.soft_target && options.label_smoothing == 0.0);
  return fused;
}

bool suits_fused(const FusedTerms& fused, const model::Predictions& predictions) {
  const at::Tensor any = predictions.of(fused.tasks.front().key);
  return fused.are_plain && (any.is_cpu() || any.is_cuda()) && fused.terms.size() <= kernels::kMaxFusedTerms &&
         fused.tasks.size() <= kernels::kMaxFusedTargets;
}

std::vector<SummedLoss> fused_losses(const FusedTerms& fused, const model::Predictions& predictions,
                                     const Targets& targets) {
  check(suits_fused(fused, predictions), "these losses are not fused");
  kernels::FusedLayout layout;
  std::vector<at::Tensor> truths;
  for (const task::Task& task : fused.tasks) {
    layout.is_classes.push_back(task.kind == task::Kind::classes ? 1 : 0);
    truths.push_back(targets.find(task.key)->second);
  }
  for (const FusedTerms::Term& term : fused.terms) {
    layout.target.push_back(static_cast<std::int64_t>(term.target));
    layout.error.push_back(static_cast<std::int64_t>(term.error));
    layout.holds_to_direct.push_back(term.holds_to_direct ? 1 : 0);
  }
  const std::vector<at::Tensor> inputs = in_order(fused, predictions);
  const kernels::FusedSums results = kernels::fused_losses(inputs, truths, layout);
  std::vector<SummedLoss> losses;
  for (std::size_t i = 0; i < fused.terms.size(); ++i) {
    losses.push_back({.sum = results.sums[static_cast<std::int64_t>(i)],
                      .count = results.counts[static_cast<std::int64_t>(fused.terms[i].target)]});
  }
  return losses;
}

}  // namespace xtasc::loss
