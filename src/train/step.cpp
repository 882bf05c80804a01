#include "train/step.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <span>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "optim/gradient_math.hpp"
#include "train/accumulation.hpp"
#include "train/transfers.hpp"

namespace xtasc::train {

namespace {

/// So that a norm of nothing divides nothing,
/// https://docs.pytorch.org/docs/2.11/generated/torch.nn.utils.clip_grad_norm_.html
constexpr double kAddedToNorm = 1e-6;

bool is_any(const loss::Term& /*term*/) {
  return true;
}

/// (terms) of sums_and_counts().
at::Tensor counts_in(const at::Tensor& summed) {
  const std::int64_t num_terms = summed.size(0) / 2;
  return summed.narrow(0, num_terms, num_terms);
}

Phase phase_of(model::Part part) {
  switch (part) {
    case model::Part::encoder:
      return Phase::encoder;
    case model::Part::decoders:
      return Phase::decoders;
    case model::Part::transfer_nets:
      return Phase::transfer_nets;
  }
  fail("unknown part {}", static_cast<int>(part));
}

}  // namespace

loss::Targets targets_of(const data::Batch& batch, const task::Tasks& tasks, at::ScalarType storage) {
  loss::Targets targets;
  for (const task::Task& task : tasks) {
    const at::Tensor& target = batch.truth_of(task.key);
    targets.emplace(task.key, task.kind == task::Kind::classes ? target : target.to(storage));
    if (const auto flags = batch.targets.find(task::flags_key(task.key)); flags != batch.targets.end()) {
      targets.insert(*flags);
    }
  }
  return targets;
}

void give_place(data::Batch& batch, const config::RunConfig& config, const model::Network& net, const Place& place) {
  batch.first = place.first;
  if (const std::int64_t num_draws = net.num_draws(); num_draws > 0) {
    batch.draws_nk = data::draws_of(place.samples, num_draws, static_cast<std::uint64_t>(config.run.seed), place.step,
                                    batch.image_n3hw.device());
  }
}

at::Tensor sums_and_counts(const std::vector<loss::SummedLoss>& losses) {
  std::vector<at::Tensor> values;
  values.reserve(2 * losses.size());
  for (const loss::SummedLoss& one : losses) {
    values.push_back(one.sum.detach().to(at::kDouble));
  }
  for (const loss::SummedLoss& one : losses) {
    values.push_back(one.count.to(at::kDouble));
  }
  return at::stack(values);
}

at::Tensor mean_losses(const at::Tensor& summed) {
  const std::int64_t num_terms = summed.size(0) / 2;
  return summed.narrow(0, 0, num_terms) / summed.narrow(0, num_terms, num_terms).clamp_min(1.0);
}

at::Tensor task_losses(const at::Tensor& means, const loss::Objective& objective) {
  std::vector<at::Tensor> losses(objective.tasks().size());
  const auto& terms = objective.terms();
  for (std::size_t k = 0; k < terms.size(); ++k) {
    if (!terms[k].is_weighed) {
      continue;
    }
    const at::Tensor term = terms[k].share * means[static_cast<std::int64_t>(k)];
    at::Tensor& loss = losses[terms[k].counts_to];
    loss = loss.defined() ? loss + term : term;
  }
  return at::stack(losses);
}

std::vector<std::string> loss_names(const loss::Objective& objective) {
  std::vector<std::string> names;
  for (const loss::Term& term : objective.terms()) {
    names.push_back(term.name);
  }
  names.emplace_back("total");
  return names;
}

Step::Step(const config::RunConfig& config, Learner& learner, dist::Communicator& communicator)
    : config_(config),
      learner_(learner),
      communicator_(communicator),
      scale_(weighting::factor_of_scale(config.weighting, learner.net.tasks().size())),
      losses_check_(learner.net.parameters().device()),
      gradients_check_(learner.net.parameters().device()),
      gradient_sync_(communicator, {learner.net.parameters().flat_gradients()},
                     static_cast<std::int64_t>(config.train.bucket_mib * 1024.0 * 1024.0),
                     [this](const at::Tensor& gradients) { gradients_check_.add(gradients); }),
      mode_{.training = true,
            .compute = learner.types.compute,
            .rewrites = config.train.rewrites,
            .checkpoints_transfer = config.train.activation_checkpointing,
            .pads_channels = config.train.pad_channels,
            .wants_features = learner.teachers != nullptr} {
  check(learner.teachers != nullptr || learner.net.num_adaptors() == 0, "a student trains without its teachers");
  if (communicator.size() > 1) {
    mode_.sum_over_ranks = [this](const at::Tensor& tensor) { communicator_.sum(tensor); };
  }
  const weighting::Needs needs = learner.weighting->needs();
  const bool asks_one_layer = needs == weighting::Needs::norms || needs == weighting::Needs::own_magnitudes;
  mode_.gradients_in_place = !asks_one_layer;  // which takes its gradient by itself
  if (combines_gradients(needs) || asks_one_layer) {
    task_gradients_.emplace(config, learner, communicator, gradient_sync_,
                            [this](const at::Tensor& gradients) { gradients_check_.add(gradients); });
    if (learner.net.has_cut()) {
      mode_.at_cut = [this](std::span<at::Tensor> outputs) { task_gradients_->cut(outputs); };
    }
  } else if (communicator.overlaps()) {
    std::vector<at::Tensor> leaves;
    for (const auto& [name, tensor] : learner.net.parameters().parameters()) {
      leaves.push_back(tensor);
    }
    gradient_sync_.watch(leaves);
  }
}

PhaseObserver Step::observe(PhaseObserver observer) {
  mode_.on_part = [this](model::Part part) { enter(phase_of(part)); };
  return std::exchange(observer_, std::move(observer));
}

std::vector<loss::SummedLoss> Step::losses_of(const model::Predictions& predictions, const data::Batch& batch,
                                              bool learns_from_teachers) const {
  const loss::Objective& objective = *learner_.objective;
  loss::Targets targets = targets_of(batch, objective.tasks(), learner_.types.storage);
  if (learns_from_teachers) {
    learner_.teachers->teach(batch.image_n3hw, mode_, targets);
  }
  return objective.losses(predictions, targets,
                          mode_.rewrites && !task_gradients_ ? loss::LossForm::fused : loss::LossForm::plain);
}

at::Tensor Step::unweighed(const at::Tensor& means) const {
  at::Tensor sum;
  const auto& terms = learner_.objective->terms();
  for (std::size_t k = 0; k < terms.size(); ++k) {
    if (!terms[k].is_weighed) {
      const at::Tensor term = terms[k].share * means[static_cast<std::int64_t>(k)];
      sum = sum.defined() ? sum + term : term;
    }
  }
  return sum;
}

at::Tensor Step::share_of_objective(const std::vector<loss::SummedLoss>& losses, const at::Tensor& counts,
                                    const at::Tensor& weights_t,
                                    const std::function<bool(const loss::Term&)>& is_in) const {
  const CauseMark mark("weighting");
  at::Tensor objective;
  const auto& terms = learner_.objective->terms();
  for (std::size_t k = 0; k < terms.size(); ++k) {
    const std::size_t task = terms[k].counts_to;
    if (is_in(terms[k])) {
      const at::Tensor& count = counts[static_cast<std::int64_t>(k)];
      const at::Tensor term =
          losses[k].sum * (terms[k].is_weighed ? terms[k].share * weights_t[static_cast<std::int64_t>(task)] / count
                                               : terms[k].share / count);
      objective = objective.defined() ? objective + term : term;
    }
  }
  return objective;
}

weighting::StepWeights Step::weigh(const at::Tensor& losses_t, const weighting::Moment& moment) {
  const CauseMark mark("weighting");
  weighting::StepWeights weights = learner_.weighting->weigh(losses_t, moment);
  if (scale_ != 1.0 && !combines_gradients(learner_.weighting->needs())) {  // whose factors come later
    weights = {scale_ * weights.weights, scale_ * weights.total};
  }
  return weights;
}

StepResult Step::compute(std::span<const data::Batch> pieces, const weighting::Moment& moment) {
  const model::ParameterSet& parameters = learner_.net.parameters();
  parameters.flat_gradients().zero_();
  mode_.flat_weights = flat_weights();
  mode_.transfers = transfers_of_step(config_, learner_.net.transfers(), moment.step);
  StepResult result = pieces.size() == 1 ? compute_whole(pieces.front(), moment) : compute_pieces(pieces, moment);
  const at::Tensor of_net = parameters.flat_gradients(0, parameters.parameters().size() - learner_.net.num_adaptors());
  if (const double max_norm = learner_.weighting->max_norm();
      max_norm > 0.0 && !combines_gradients(learner_.weighting->needs())) {
    optim::clip_norm(of_net, max_norm);
  }
  if (config_.train.clip_norm > 0.0) {  // behind all that the method does
    optim::clip_norm(of_net, config_.train.clip_norm, kAddedToNorm);
  }
  if (learner_.weighting->needs() == weighting::Needs::losses_after_step) {
    batch_ = pieces.front();
  }
  losses_check_.end_step();
  gradients_check_.end_step();
  return result;
}

model::Predictions Step::forward(const data::Batch& batch) {
  mode_.draws_nk = batch.draws_nk;
  mode_.first_in_batch = batch.first;
  return learner_.net.forward(batch.image_n3hw, mode_);
}

StepResult Step::compute_whole(const data::Batch& batch, const weighting::Moment& moment) {
  const auto storage = learner_.types.storage;
  const model::Predictions predictions = forward(batch);
  enter(Phase::losses);
  const std::vector<loss::SummedLoss> losses = losses_of(predictions, batch, mode_.wants_features);
  const at::Tensor summed = sums_and_counts(losses);
  losses_check_.add(summed);
  communicator_.sum(summed);
  const at::Tensor means = mean_losses(summed);
  const at::Tensor losses_t = task_losses(means, *learner_.objective).to(storage);
  const weighting::StepWeights weights = weigh(losses_t, moment);
  const at::Tensor counts = counts_in(summed).clamp_min(1.0).to(storage);
  at::Tensor task_weights = weights.weights;
  at::Tensor total = weights.total.to(at::kDouble);
  at::Tensor gram;
  enter(Phase::backward);
  if (task_gradients_) {
    // What no method weighs is part of a task's gradient where gradients are combined, and of nothing that is weighed.
    const bool combines = combines_gradients(learner_.weighting->needs());
    std::vector<at::Tensor> shares;
    for (std::size_t task = 0; task < learner_.net.tasks().size(); ++task) {
      shares.push_back(share_of_objective(losses, counts, weights.weights, [&](const loss::Term& term) {
        return term.counts_to == task && (combines || term.is_weighed);
      }));
    }
    const at::Tensor rest = combines ? at::Tensor()
                                     : share_of_objective(losses, counts, weights.weights,
                                                          [](const loss::Term& term) { return !term.is_weighed; });
    const TaskGradients::Found found = task_gradients_->backward(shares, rest, losses_t, moment);
    task_weights = task_weights * found.factors_t;
    gram = found.gram_tt;
    if (learner_.weighting->needs() == weighting::Needs::own_magnitudes) {
      total = (task_weights * losses_t).sum().to(at::kDouble);
    }
  } else {
    if (communicator_.overlaps()) {
      gradient_sync_.expect_backward();
    }
    share_of_objective(losses, counts, weights.weights, is_any).backward();
    enter(Phase::all_reduce);
    gradient_sync_.reduce();
  }
  StepResult result = result_of(predictions, summed, means, task_weights, total);
  result.gram_tt = gram;
  return result;
}

StepResult Step::compute_pieces(std::span<const data::Batch> pieces, const weighting::Moment& moment) {
  const auto storage = learner_.types.storage;
  at::Tensor counted;
  for (const data::Batch& piece : pieces) {
    const at::Tensor one = counts_of(*learner_.objective, learner_.net, piece, mode_);
    counted = counted.defined() ? counted + one : one;
  }
  communicator_.sum(counted);
  const at::Tensor counts = counted.clamp_min(1.0).to(storage);
  const auto num_tasks = static_cast<std::int64_t>(learner_.net.tasks().size());
  const at::Tensor weights = weigh(at::zeros({num_tasks}, counts.options()), moment).weights;  // follow from no loss
  at::Tensor summed;
  model::Predictions last;
  for (const data::Batch& piece : pieces) {
    const model::Predictions predictions = forward(piece);
    enter(Phase::losses);
    const std::vector<loss::SummedLoss> losses = losses_of(predictions, piece, mode_.wants_features);
    const at::Tensor one = sums_and_counts(losses);
    losses_check_.add(one);
    summed = summed.defined() ? summed + one : one;
    enter(Phase::backward);
    if (&piece == &pieces.back() && communicator_.overlaps()) {
      gradient_sync_.expect_backward();
    }
    share_of_objective(losses, counts, weights, is_any).backward();
    last = predictions.detached();
  }
  enter(Phase::all_reduce);
  gradient_sync_.reduce();
  communicator_.sum(summed);
  const at::Tensor means = mean_losses(summed);
  const at::Tensor losses_t = task_losses(means, *learner_.objective).to(storage);
  return result_of(last, summed, means, weights, weigh(losses_t, moment).total.to(at::kDouble));
}

StepResult Step::result_of(const model::Predictions& predictions, const at::Tensor& summed, const at::Tensor& means,
                           const at::Tensor& task_weights, const at::Tensor& total) const {
  const at::Tensor others = unweighed(means);
  return {.predictions = predictions.detached(),
          .losses = at::cat({means, (others.defined() ? total + others : total).view({1})}),
          .is_counted = (counts_in(summed) > 0).to(at::kDouble),
          .task_weights = task_weights};
}

at::Tensor Step::flat_weights() const {
  const at::Tensor& flat = learner_.net.parameters().flat_values();
  const bool is_read = takes_cuda_form(flat) && mode_.compute != flat.scalar_type();
  return is_read ? flat.detach().to(mode_.compute) : at::Tensor();
}

at::Tensor Step::losses_after_step() const {
  const c10::NoGradGuard no_grad;
  model::Mode mode = mode_;
  mode.moves_running_statistics = false;
  mode.on_part = {};
  mode.flat_weights = flat_weights();
  mode.wants_features = false;
  const at::Tensor summed = sums_and_counts(
      losses_of(learner_.net.forward(batch_->image_n3hw, mode), *batch_, /*learns_from_teachers=*/false));
  communicator_.sum(summed);
  return task_losses(mean_losses(summed), *learner_.objective).to(learner_.types.storage);
}

bool Step::is_the_same_each_time() const {
  return learner_.weighting->needs() == weighting::Needs::losses && learner_.weighting->is_the_same_each_step() &&
         !draws_transfers(config_);
}

void Step::set_learning_rate(double learning_rate) {
  learning_rate_ = learning_rate;
  learner_.optimizer->set_learning_rate(learning_rate);
}

void Step::update(double learning_rate) {
  set_learning_rate(learning_rate);
  update();
}

void Step::update() {
  enter(Phase::optimizer);
  learner_.optimizer->step();
  if (learner_.adaptors_adam) {
    learner_.adaptors_adam->step();
  }
  learner_.weighting->update(learning_rate_, batch_ ? losses_after_step() : at::Tensor());
  batch_.reset();
}

}  // namespace xtasc::train
