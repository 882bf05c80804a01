#include "loss/objective.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/error.hpp"
#include "loss/fused.hpp"
#include "loss/transferred.hpp"
#include "model/unit_vectors.hpp"

namespace xtasc::loss {

namespace {

/// Where a truth of vectors is known. \returns (N, H, W) bool
at::Tensor is_known(const at::Tensor& vectors_nchw) {
  return (vectors_nchw != 0).any(1);
}

/// A prediction held to the task's truth.
SummedLoss direct_loss(const task::Task& task, const config::LossSection& options, const at::Tensor& prediction,
                       const at::Tensor& truth) {
  switch (task.kind) {
    case task::Kind::classes:
      return cross_entropy(prediction, truth);
    case task::Kind::depth:
      return depth_loss(options.depth, prediction, truth, truth > 0);
    case task::Kind::unit_vector:
      return cosine_loss(prediction, truth, is_known(truth));
  }
  fail("unknown kind of task {}", static_cast<int>(task.kind));
}

/// `known`, and all of the images without labels. \param has_n  which have some; undefined: all
at::Tensor where_held(const at::Tensor& known, const at::Tensor& has_n) {
  if (!has_n.defined()) {
    return known;
  }
  std::vector<std::int64_t> shape(static_cast<std::size_t>(known.dim()), 1);
  shape.front() = has_n.size(0);
  return known | (has_n == 0).view(shape);
}

SummedLoss consistent_depth(config::TransferredDepthLoss kind, const at::Tensor& transferred, const at::Tensor& direct,
                            const at::Tensor& held) {
  switch (kind) {
    case config::TransferredDepthLoss::l1:
      return depth_loss(config::DepthLoss::l1, transferred, direct.detach(), held);
    case config::TransferredDepthLoss::ssim:
      return ssim_depth(transferred, direct.detach(), held);
  }
  fail("unknown transferred depth loss {}", static_cast<int>(kind));
}

SummedLoss consistent_segmentation(const config::LossSection& options, const at::Tensor& transferred,
                                   const at::Tensor& direct, const at::Tensor& held_nhw) {
  if (options.transferred_segmentation == config::TransferredSegmentationLoss::cross && !options.soft_target &&
      options.label_smoothing == 0.0) {  // hard labels need no distribution in memory
    const at::Tensor best = direct.detach().argmax(1);
    return cross_entropy(transferred, best.masked_fill(~held_nhw, task::kIgnoreLabel));
  }
  const at::Tensor target =
      target_distribution(direct, {.soft = options.soft_target, .smoothing = options.label_smoothing});
  return distribution_loss(options.transferred_segmentation, transferred, target, held_nhw);
}

/// A transferred prediction held to the task's direct one.
SummedLoss consistent_loss(const task::Task& task, const config::LossSection& options, const at::Tensor& transferred,
                           const at::Tensor& direct, const at::Tensor& truth, const at::Tensor& has_n) {
  switch (task.kind) {
    case task::Kind::classes:
      return consistent_segmentation(options, transferred, direct, where_held(truth != task::kIgnoreLabel, has_n));
    case task::Kind::depth:
      return consistent_depth(options.transferred_depth, transferred, direct, where_held(truth > 0, has_n));
    case task::Kind::unit_vector:
      return cosine_loss(transferred, model::unit_vectors(direct.detach()), where_held(is_known(truth), has_n));
  }
  fail("unknown kind of task {}", static_cast<int>(task.kind));
}

std::size_t index_of(const task::Tasks& tasks, std::string_view key) {
  const auto found = std::ranges::find(tasks, key, &task::Task::key);
  check(found != tasks.end(), "there is no task \"{}\" here", key);
  return static_cast<std::size_t>(found - tasks.begin());
}

std::vector<Term> terms_of(const config::LossSection& options, const task::Tasks& tasks,
                           const std::vector<model::Transfer>& transfers, std::int64_t at_once) {
  const auto num_from = [&](std::string_view key) {
    const std::int64_t all = std::ranges::count(transfers, key, &model::Transfer::from);
    return static_cast<double>(at_once == 0 ? all : std::min(all, at_once));
  };
  const auto lambda = [&](std::size_t task) {
    return num_from(tasks[task].key) == 0.0 ? 0.0 : options.lambda_of(task);
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
                       const std::vector<model::Transfer>& transfers, std::int64_t at_once)
      : Objective(tasks, terms_of(options, tasks, transfers, at_once)), consistency_(consistency), options_(options) {}

  [[nodiscard]] std::vector<SummedLoss> losses(const model::Predictions& predictions, const Targets& targets,
                                               LossForm form) const override {
    check_predictions(predictions, targets);
    const FusedTerms fused = fused_terms(tasks(), consistency_, options_, predictions);
    const bool is_fused = form == LossForm::fused && suits_fused(fused, predictions);
    return with_absent(is_fused ? fused_losses(fused, predictions, targets) : plain_losses(predictions, targets),
                       predictions);
  }

 private:
  /// The direct predictions' losses, then those of the transferred ones that there are.
  [[nodiscard]] std::vector<SummedLoss> plain_losses(const model::Predictions& predictions,
                                                     const Targets& targets) const {
    std::vector<SummedLoss> losses;
    for (const task::Task& task : tasks()) {
      losses.push_back(direct_loss(task, options_, predictions.of(task.key), targets.find(task.key)->second));
    }
    for (const auto& [transfer, prediction] : predictions.transferred) {
      const task::Task& to = tasks()[index_of(tasks(), transfer.to)];
      const at::Tensor& truth = targets.find(to.key)->second;
      losses.push_back(holds_to_direct(consistency_) ? consistent_loss(to, options_, prediction, predictions.of(to.key),
                                                                       truth, flags_in(targets, to.key))
                                                     : direct_loss(to, options_, prediction, truth));
    }
    return losses;
  }

  /// One loss a term: nothing, and no count, for the transferred predictions that are not there.
  [[nodiscard]] std::vector<SummedLoss> with_absent(std::vector<SummedLoss> found,
                                                    const model::Predictions& predictions) const {
    if (found.size() == terms().size()) {
      return found;
    }
    const at::Tensor no_sum = at::zeros({}, found.front().sum.options());
    const at::Tensor no_count = at::zeros_like(found.front().count);
    std::vector<SummedLoss> all;
    std::size_t next = 0;
    for (const Term& term : terms()) {
      const bool is_direct = all.size() < tasks().size();
      const bool is_there = is_direct || (next < found.size() &&
                                          predictions.transferred[next - tasks().size()].transfer.name() == term.name);
      all.push_back(is_there ? found[next++] : SummedLoss{.sum = no_sum, .count = no_count});
    }
    return all;
  }

  /// Every task is predicted and has a truth of its shape, and the transferred predictions are some of the terms', in
  /// their order.
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
    auto expected = terms().begin() + static_cast<std::ptrdiff_t>(tasks().size());
    for (const auto& [transfer, prediction] : predictions.transferred) {
      const std::string name = transfer.name();
      expected = std::find_if(expected, terms().end(), [&name](const Term& term) { return term.name == name; });
      check(expected != terms().end(), "transferred prediction {} is none of the objective's, or not in their order",
            name);
      check(prediction.sizes() == predictions.of(transfer.to).sizes(),
            "{}: prediction {} and direct prediction {} disagree", name, fmt::join(prediction.sizes(), " x "),
            fmt::join(predictions.of(transfer.to).sizes(), " x "));
    }
  }

  config::Consistency consistency_;
  config::LossSection options_;
};

}  // namespace

at::Tensor flags_in(const Targets& targets, std::string_view task) {
  const auto found = targets.find(task::flags_key(task));
  return found == targets.end() ? at::Tensor() : found->second;
}

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
                                          const task::Tasks& tasks, const std::vector<model::Transfer>& transfers,
                                          std::int64_t at_once) {
  check((consistency == config::Consistency::none) == transfers.empty(),
        "a system {} consistency has a network with {} transferred predictions",
        consistency == config::Consistency::none ? "without" : "with", transfers.size());
  return std::make_unique<ConsistencyObjective>(consistency, options, tasks, transfers, at_once);
}

}  // namespace xtasc::loss
