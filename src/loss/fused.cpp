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

static_assert(kernels::kMinVectorLength == task::kMinLength);

kernels::TargetKind target_kind_of(task::Kind kind) {
  switch (kind) {
    case task::Kind::classes:
      return kernels::TargetKind::classes;
    case task::Kind::depth:
      return kernels::TargetKind::numbers;
    case task::Kind::unit_vector:
      return kernels::TargetKind::unit_vector;
  }
  fail("unknown kind of task {}", static_cast<int>(kind));
}

kernels::PointError point_error_of(task::Kind kind, const config::LossSection& options, bool holds_to_direct) {
  switch (kind) {
    case task::Kind::classes:
      return kernels::PointError::cross_entropy;
    case task::Kind::depth:
      return holds_to_direct ? kernels::PointError::l1 : point_error_of(options.depth);
    case task::Kind::unit_vector:
      return kernels::PointError::cosine;
  }
  fail("unknown kind of task {}", static_cast<int>(kind));
}

/// (tasks, N) uint8: which images have labels of each task; undefined where all have.
at::Tensor flags_of(const task::Tasks& tasks, const Targets& targets) {
  at::Tensor any;
  for (const task::Task& task : tasks) {
    const at::Tensor flags = flags_in(targets, task.key);
    any = flags.defined() ? flags : any;
  }
  if (!any.defined()) {
    return {};
  }
  std::vector<at::Tensor> all;
  for (const task::Task& task : tasks) {
    const at::Tensor flags = flags_in(targets, task.key);
    all.push_back(flags.defined() ? flags : at::ones_like(any));
  }
  return at::stack(all);
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
    fused.terms.push_back({target, point_error_of(tasks[target].kind, options, holds_to_direct), holds_to_direct});
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
    layout.kind.push_back(static_cast<std::int64_t>(target_kind_of(task.kind)));
    truths.push_back(targets.find(task.key)->second);
  }
  for (const FusedTerms::Term& term : fused.terms) {
    layout.target.push_back(static_cast<std::int64_t>(term.target));
    layout.error.push_back(static_cast<std::int64_t>(term.error));
    layout.holds_to_direct.push_back(term.holds_to_direct ? 1 : 0);
  }
  const std::vector<at::Tensor> inputs = in_order(fused, predictions);
  const kernels::FusedSums results = kernels::fused_losses(inputs, truths, flags_of(fused.tasks, targets), layout);
  std::vector<SummedLoss> losses;
  for (std::size_t i = 0; i < fused.terms.size(); ++i) {
    const auto k = static_cast<std::int64_t>(i);
    losses.push_back({.sum = results.sums[k], .count = results.counts[k]});
  }
  return losses;
}

}  // namespace xtasc::loss
