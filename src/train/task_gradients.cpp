#include "train/task_gradients.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <bit>

#include "core/error.hpp"
#include "core/log.hpp"
#include "optim/gradient_math.hpp"
#include "train/transfers.hpp"

namespace xtasc::train {

namespace {

at::Tensor dot_of(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  at::Tensor sum = optim::dot_64(a.front(), b.front());
  for (std::size_t i = 1; i < a.size(); ++i) {
    sum = sum + optim::dot_64(a[i], b[i]);
  }
  return sum;
}

std::vector<at::Tensor> compared_among(const std::vector<at::Tensor>& all, const std::vector<bool>& compared) {
  std::vector<at::Tensor> some;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (compared[i]) {
      some.push_back(all[i]);
    }
  }
  return some;
}

}  // namespace

TaskGradients::TaskGradients(const config::RunConfig& config, Learner& learner, dist::Communicator& communicator,
                             dist::GradientSync& sync, const dist::GradientSync::Inspect& inspect)
    : config_(config),
      learner_(learner),
      communicator_(communicator),
      sync_(sync),
      inspect_(inspect),
      num_tasks_(learner.net.tasks().size()),
      scale_(weighting::factor_of_scale(config.weighting, num_tasks_)),
      own_(num_tasks_) {
  if (learner.weighting->needs() == weighting::Needs::norms) {
    layer_ = learner.net.last_shared_layer();
  }
  if (learner.weighting->needs() == weighting::Needs::own_magnitudes) {
    for (std::size_t task = 0; task < num_tasks_; ++task) {
      own_layers_.push_back(learner.net.first_own_layer(task));
    }
  }
}

void TaskGradients::prepare(const Tensors& objectives) {
  const auto runs = reach_of(objectives, cut_, learner_.net.parameters());
  const TaskSet everyone = (TaskSet{1} << num_tasks_) - 1;
  const bool has_shared = std::ranges::any_of(runs, [&](const ReachedRun& run) { return run.tasks == everyone; });
  const bool wants_all = config_.weighting.parameters == config::WeightedParameters::all;
  const bool compares_all = wants_all || !has_shared || !own_layers_.empty();
  if (compares_all && !wants_all && own_layers_.empty() && !is_prepared_) {
    log_info("no parameter of {} is reached by all tasks: weighting.parameters counts as \"all\"",
             config_.model.system);
  }
  // What a method changes element by element is never a task's own.
  combines_own_ = compares_all && learner_.weighting->needs() != weighting::Needs::vectors;
  const bool weighs_all = compares_all || config_.weighting.heads == config::HeadGradients::weighted;
  apart_.clear();
  compared_.clear();
  std::ranges::for_each(own_, &Tensors::clear);
  for (const ReachedRun& run : runs) {
    const at::Tensor gradients = learner_.net.parameters().flat_gradients(run.first, run.last);
    const bool is_of_several = std::popcount(run.tasks) > 1;
    if (run.tasks == everyone || (weighs_all && is_of_several)) {
      apart_.push_back(gradients);
      compared_.push_back(run.tasks == everyone || compares_all);
    } else if (weighs_all && run.tasks != 0) {
      own_[static_cast<std::size_t>(std::countr_zero(run.tasks))].push_back(gradients);
    }
  }
  if (!own_layers_.empty()) {
    return;
  }
  check(!apart_.empty(), "no two tasks of {} share a parameter: there is nothing to combine", config_.model.system);
  if (is_prepared_) {  // what several tasks reach is the same in every step
    return;
  }
  for (std::size_t task = 0; task + 1 < num_tasks_; ++task) {
    Tensors& copies = others_.emplace_back();
    for (const at::Tensor& gradients : apart_) {
      copies.push_back(at::empty_like(gradients));
    }
    others_sync_.push_back(std::make_unique<dist::GradientSync>(
        communicator_, copies, static_cast<std::int64_t>(config_.train.bucket_mib * 1024.0 * 1024.0), inspect_));
  }
}

void TaskGradients::cut(std::span<at::Tensor> outputs) {
  cut_.outputs.assign(outputs.begin(), outputs.end());
  cut_.leaves.clear();
  for (at::Tensor& output : outputs) {
    output = output.detach().requires_grad_(true);
    cut_.leaves.push_back(output);
  }
}

TaskGradients::Found TaskGradients::backward(const Tensors& objectives, const at::Tensor& rest,
                                             const at::Tensor& losses_t, const weighting::Moment& moment) {
  check(!rest.defined() || cut_.leaves.empty(), "no network with a cut has losses that no method weighs");
  rest_ = rest;
  if (!layer_.defined() && (!is_prepared_ || draws_transfers(config_))) {
    prepare(objectives);
    is_prepared_ = true;
  }
  if (!cut_.leaves.empty()) {
    back_to_cut(objectives);
  }
  Found found = {.factors_t = at::ones_like(losses_t), .gram_tt = {}};
  if (layer_.defined()) {
    show_norms(objectives, losses_t);
  } else if (!own_layers_.empty()) {
    found.factors_t = weigh_by_magnitudes(objectives).to(losses_t.scalar_type());
  } else {
    found = combine(objectives, losses_t, moment);
    found.factors_t = found.factors_t.to(losses_t.scalar_type());
  }
  cut_ = {};
  at_cut_.clear();
  rest_ = at::Tensor();
  return found;
}

void TaskGradients::back_to_cut(const Tensors& objectives) {
  for (const at::Tensor& objective : objectives) {
    objective.backward();
    Tensors& gradients = at_cut_.emplace_back();
    for (const at::Tensor& leaf : cut_.leaves) {
      const at::Tensor gradient = std::exchange(leaf.mutable_grad(), {});
      gradients.push_back(gradient.defined() ? gradient : at::zeros_like(leaf));  // a task may leave an output alone
    }
  }
}

void TaskGradients::backward_of(std::size_t task, const Tensors& objectives, bool again) const {
  if (at_cut_.empty()) {
    torch::autograd::backward({objectives[task]}, {}, again);
  } else {
    torch::autograd::backward(cut_.outputs, at_cut_[task], again);
  }
}

TaskGradients::Found TaskGradients::combine(const Tensors& objectives, const at::Tensor& losses_t,
                                            const weighting::Moment& moment) {
  for (std::size_t task = 0; task + 1 < num_tasks_; ++task) {
    backward_of(task, objectives, /*again=*/true);
    for (std::size_t i = 0; i < apart_.size(); ++i) {
      others_[task][i].copy_(apart_[i]);
      apart_[i].zero_();
    }
  }
  backward_of(num_tasks_ - 1, objectives, /*again=*/false);
  for (const auto& sync : others_sync_) {
    sync->reduce();
  }
  sync_.reduce();
  weighting::TaskWeighting& method = *learner_.weighting;
  const at::Tensor products = gram();
  at::Tensor products_now = products;
  if (method.needs() == weighting::Needs::vectors) {
    show_gradients(losses_t, moment);
    products_now = gram();
  }
  const at::Tensor factors = method.combine(products_now, losses_t, moment);
  return {.factors_t = mix((scale_ == 1.0 ? factors : scale_ * factors).to(apart_.front().scalar_type())),
          .gram_tt = products};
}

void TaskGradients::show_gradients(const at::Tensor& losses_t, const weighting::Moment& moment) const {
  const std::int64_t begin = learner_.net.parameters().flat_gradients().storage_offset();
  std::vector<weighting::GradientPiece> pieces;
  for (std::size_t i = 0; i < apart_.size(); ++i) {
    if (compared_[i]) {
      weighting::GradientPiece& piece = pieces.emplace_back();
      piece.first = apart_[i].storage_offset() - begin;
      for (std::size_t task = 0; task < num_tasks_; ++task) {
        piece.of_task.push_back(apart_of(task)[i]);
      }
    }
  }
  learner_.weighting->see_gradients(pieces, losses_t, moment);
}

at::Tensor TaskGradients::gram() const {
  std::vector<Tensors> entries(num_tasks_, Tensors(num_tasks_));
  Tensors rows;
  for (std::size_t a = 0; a < num_tasks_; ++a) {
    for (std::size_t b = a; b < num_tasks_; ++b) {
      entries[a][b] = dot_of(compared_among(apart_of(a), compared_), compared_among(apart_of(b), compared_));
      entries[b][a] = entries[a][b];
    }
    if (combines_own_ && !own_[a].empty()) {  // which no other task reaches
      entries[a][a] = entries[a][a] + dot_of(own_[a], own_[a]);
    }
    rows.push_back(at::stack(entries[a]));
  }
  return at::stack(rows);
}

at::Tensor TaskGradients::mix(const at::Tensor& factors_t) {
  const auto factor = [&](std::size_t task) { return factors_t[static_cast<std::int64_t>(task)]; };
  for (std::size_t i = 0; i < apart_.size(); ++i) {
    apart_[i].mul_(factor(num_tasks_ - 1));
    for (std::size_t task = 0; task + 1 < num_tasks_; ++task) {
      apart_[i].addcmul_(others_[task][i], factor(task));
    }
  }
  for (std::size_t task = 0; task < num_tasks_; ++task) {
    for (const at::Tensor& own : own_[task]) {
      own.mul_(factor(task));
    }
  }
  const double max_norm = learner_.weighting->max_norm();
  if (max_norm == 0.0) {
    return factors_t;
  }
  Tensors combined = compared_among(apart_, compared_);
  if (combines_own_) {
    for (const Tensors& own : own_) {
      combined.insert(combined.end(), own.begin(), own.end());
    }
  }
  const at::Tensor shrinking =
      optim::shrinking_factor(dot_of(combined, combined), max_norm).to(factors_t.scalar_type());
  for (const at::Tensor& gradients : combined) {
    gradients.mul_(shrinking);
  }
  return factors_t * shrinking;
}

void TaskGradients::show_norms(const Tensors& objectives, const at::Tensor& losses_t) {
  Tensors at_layer;
  for (std::size_t task = 0; task < num_tasks_; ++task) {
    // The layer lies in front of the last of a cut's outputs, and of no other.
    const auto found = at_cut_.empty() ? torch::autograd::grad({objectives[task]}, {layer_}, {}, /*retain_graph=*/true)
                                       : torch::autograd::grad({cut_.outputs.back()}, {layer_}, {at_cut_[task].back()},
                                                               /*retain_graph=*/true);
    at_layer.push_back(found.front().flatten());
  }
  const at::Tensor all = at::stack(at_layer);
  communicator_.sum(all);
  Tensors squares;
  for (std::size_t task = 0; task < num_tasks_; ++task) {
    const at::Tensor one = all[static_cast<std::int64_t>(task)];
    squares.push_back(optim::dot_64(one, one));
  }
  learner_.weighting->see_norms(at::stack(squares).sqrt(), losses_t);
  backward_of_sum(objectives, {});
}

at::Tensor TaskGradients::weigh_by_magnitudes(const Tensors& objectives) {
  Tensors at_layers;
  std::vector<std::int64_t> sizes;
  for (std::size_t task = 0; task < num_tasks_; ++task) {
    const at::Tensor& layer = own_layers_[task];
    const at::Tensor gradient =
        at_cut_.empty() ? torch::autograd::grad({objectives[task]}, {layer}, {}, /*retain_graph=*/true).front()
                        : layer.grad();
    at_layers.push_back(gradient.flatten());
    sizes.push_back(layer.numel());
  }
  const at::Tensor all = at::cat(at_layers).to(at::kDouble);
  communicator_.sum(all);
  Tensors magnitudes;
  for (const at::Tensor& one : all.split_with_sizes(sizes)) {
    magnitudes.push_back(one.abs().mean());
  }
  at::Tensor factors = learner_.weighting->weigh_by_magnitudes(at::stack(magnitudes));
  if (!at_cut_.empty()) {
    for (std::size_t task = 0; task < num_tasks_; ++task) {
      for (const at::Tensor& own : own_[task]) {
        own.mul_(factors[static_cast<std::int64_t>(task)].to(own.scalar_type()));
      }
    }
  }
  backward_of_sum(objectives, factors.to(objectives.front().scalar_type()));
  return factors;
}

void TaskGradients::backward_of_sum(const Tensors& objectives, const at::Tensor& factors_t) {
  const auto sum_of = [&](const auto& one_of) {
    const auto scaled = [&](std::size_t task) {
      const at::Tensor one = one_of(task);
      return factors_t.defined() ? one * factors_t[static_cast<std::int64_t>(task)].to(one.scalar_type()) : one;
    };
    at::Tensor sum = scaled(0);
    for (std::size_t task = 1; task < num_tasks_; ++task) {
      sum = sum + scaled(task);
    }
    return sum;
  };
  if (at_cut_.empty()) {
    const at::Tensor sum = sum_of([&](std::size_t task) { return objectives[task]; });
    (rest_.defined() ? sum + rest_ : sum).backward();
  } else {
    Tensors sums;
    for (std::size_t k = 0; k < cut_.outputs.size(); ++k) {
      sums.push_back(sum_of([&](std::size_t task) { return at_cut_[task][k]; }));
    }
    torch::autograd::backward(cut_.outputs, sums);
  }
  sync_.reduce();
}

}  // namespace xtasc::train
