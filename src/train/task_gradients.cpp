#include "train/task_gradients.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <bit>

#include "core/error.hpp"
#include "core/log.hpp"
#include "train/gradient_math.hpp"
#include "train/transfers.hpp"

namespace xtasc::train {

namespace {

at::Tensor dot_of(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  at::Tensor sum = dot_64(a.front(), b.front());
  for (std::size_t i = 1; i < a.size(); ++i) {
    sum = sum + dot_64(a[i], b[i]);
  }
  return sum;
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
  const bool combines_all = wants_all || !has_shared || !own_layers_.empty();
  if (combines_all && !wants_all && own_layers_.empty() && !is_prepared_) {
    log_info("no parameter of {} is reached by all tasks: weighting.parameters counts as \"all\"",
             config_.model.system);
  }
  apart_.clear();
  std::ranges::for_each(own_, &Tensors::clear);
  for (const ReachedRun& run : runs) {
    const at::Tensor gradients = learner_.net.parameters().flat_gradients(run.first, run.last);
    if (run.tasks == everyone || (combines_all && std::popcount(run.tasks) > 1)) {
      apart_.push_back(gradients);
    } else if (combines_all && run.tasks != 0) {
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

at::Tensor TaskGradients::backward(const Tensors& objectives, const at::Tensor& rest, const at::Tensor& losses_t,
                                   const weighting::Moment& moment) {
  check(!rest.defined() || cut_.leaves.empty(), "no network with a cut has losses that no method weighs");
  rest_ = rest;
  if (!layer_.defined() && (!is_prepared_ || draws_transfers(config_))) {
    prepare(objectives);
    is_prepared_ = true;
  }
  if (!cut_.leaves.empty()) {
    back_to_cut(objectives);
  }
  at::Tensor factors = at::ones_like(losses_t);
  if (layer_.defined()) {
    show_norms(objectives, losses_t);
  } else if (!own_layers_.empty()) {
    factors = weigh_by_magnitudes(objectives).to(losses_t.scalar_type());
  } else {
    factors = combine(objectives, losses_t, moment).to(losses_t.scalar_type());
  }
  cut_ = {};
  at_cut_.clear();
  rest_ = at::Tensor();
  return factors;
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

at::Tensor TaskGradients::combine(const Tensors& objectives, const at::Tensor& losses_t,
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
  at::Tensor factors = learner_.weighting->combine(gram(), losses_t, moment);
  mix(factors.to(apart_.front().scalar_type()));
  return factors;
}

at::Tensor TaskGradients::gram() const {
  const auto apart_of = [&](std::size_t task) -> const Tensors& {
    return task + 1 < num_tasks_ ? others_[task] : apart_;
  };
  std::vector<Tensors> entries(num_tasks_, Tensors(num_tasks_));
  Tensors rows;
  for (std::size_t a = 0; a < num_tasks_; ++a) {
    for (std::size_t b = a; b < num_tasks_; ++b) {
      entries[a][b] = dot_of(apart_of(a), apart_of(b));
      entries[b][a] = entries[a][b];
    }
    if (!own_[a].empty()) {  // which no other task reaches
      entries[a][a] = entries[a][a] + dot_of(own_[a], own_[a]);
    }
    rows.push_back(at::stack(entries[a]));
  }
  return at::stack(rows);
}

void TaskGradients::mix(const at::Tensor& factors_t) {
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
    squares.push_back(dot_64(one, one));
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
