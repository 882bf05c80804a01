#include "train/step.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <array>

#include "core/cuda_forms.hpp"
#include "train/gradient_math.hpp"

namespace xtasc::train {

namespace {

using Losses = std::array<const loss::SummedLoss*, 4>;

Losses in_order(const loss::TaskLosses& losses) {
  return {&losses.seg, &losses.depth, &losses.seg_to_depth, &losses.depth_to_seg};
}

}  // namespace

const char* loss_name(std::int64_t index) {
  constexpr std::array<const char*, kNumLosses> kNames = {"seg", "depth", "seg_to_depth", "depth_to_seg", "total"};
  return kNames[static_cast<std::size_t>(index)];
}

at::Tensor sums_and_counts(const loss::TaskLosses& losses, at::Device device) {
  std::vector<at::Tensor> values;
  const at::Tensor zero = at::zeros({}, at::TensorOptions().dtype(at::kDouble).device(device));
  for (const loss::SummedLoss* one : in_order(losses)) {
    values.push_back(one->sum.defined() ? one->sum.detach().to(at::kDouble) : zero);
  }
  for (const loss::SummedLoss* one : in_order(losses)) {
    values.push_back(one->sum.defined() ? one->count.to(at::kDouble) : zero);
  }
  return at::stack(values);
}

at::Tensor mean_losses(const at::Tensor& summed_8) {
  return summed_8.narrow(0, 0, 4) / summed_8.narrow(0, 4, 4).clamp_min(1.0);
}

at::Tensor objectives(const at::Tensor& mean_losses_4, const config::LossSection& loss) {
  return at::stack({(1.0 - loss.lambda_1) * mean_losses_4[kSeg] + loss.lambda_1 * mean_losses_4[kSegToDepth],
                    (1.0 - loss.lambda_2) * mean_losses_4[kDepth] + loss.lambda_2 * mean_losses_4[kDepthToSeg]});
}

Step::Step(const config::RunConfig& config, Learner& learner, dist::Communicator& communicator)
    : config_(config),
      learner_(learner),
      communicator_(communicator),
      losses_check_(learner.net.parameters().device()),
      gradients_check_(learner.net.parameters().device()),
      gradient_sync_(communicator, {learner.net.parameters().flat_gradients()},
                     static_cast<std::int64_t>(config.train.bucket_mib * 1024.0 * 1024.0),
                     [this](const at::Tensor& gradients) { gradients_check_.add(gradients); }),
      mode_{.training = true,
            .compute = learner.types.compute,
            .rewrites = config.train.rewrites,
            .recomputes_transfer = config.train.activation_checkpointing,
            .pads_channels = config.train.pad_channels} {
  if (communicator.size() > 1) {
    mode_.sum_over_ranks = [this](const at::Tensor& tensor) { communicator_.sum(tensor); };
  }
  const weighting::Needs needs = learner.weighting->needs();
  mode_.gradients_in_place = needs != weighting::Needs::norms;  // which asks for one layer's gradient by itself
  if (needs == weighting::Needs::gram || needs == weighting::Needs::norms) {
    task_gradients_.emplace(config, learner, communicator, gradient_sync_,
                            [this](const at::Tensor& gradients) { gradients_check_.add(gradients); });
  } else if (communicator.overlaps()) {
    std::vector<at::Tensor> leaves;
    for (const auto& [name, tensor] : learner.net.parameters().parameters()) {
      leaves.push_back(tensor);
    }
    gradient_sync_.watch(leaves);
  }
}

loss::TaskLosses Step::losses_of(const model::Predictions& predictions, const data::Batch& batch) const {
  return loss::task_losses(config_.model.system, config_.loss,
                           {predictions.seg, predictions.depth, predictions.seg_to_depth, predictions.depth_to_seg},
                           {batch.label_nhw, batch.depth_n1hw.to(learner_.types.storage)},
                           mode_.rewrites && !task_gradients_ ? loss::LossForm::fused : loss::LossForm::plain);
}

at::Tensor Step::share_of_objective(const loss::TaskLosses& losses, const at::Tensor& counts_4,
                                    const at::Tensor& weights_2, std::optional<weighting::Task> only) const {
  const std::array<double, 4> shares = {1.0 - config_.loss.lambda_1, 1.0 - config_.loss.lambda_2, config_.loss.lambda_1,
                                        config_.loss.lambda_2};
  constexpr std::array<weighting::Task, 4> kTaskOf = {weighting::kSegmentation, weighting::kDepth,
                                                      weighting::kSegmentation, weighting::kDepth};
  const CauseMark mark("weighting");
  at::Tensor objective;
  const Losses plain = in_order(losses);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    if (plain[i]->sum.defined() && (!only || *only == kTaskOf[i])) {
      const at::Tensor term =
          plain[i]->sum * (shares[i] * weights_2[kTaskOf[i]] / counts_4[static_cast<std::int64_t>(i)]);
      objective = objective.defined() ? objective + term : term;
    }
  }
  return objective;
}

weighting::StepWeights Step::weigh(const at::Tensor& global_losses_2, const weighting::Moment& moment) {
  const CauseMark mark("weighting");
  return learner_.weighting->weigh(global_losses_2, moment);
}

model::Predictions Step::predict(const at::Tensor& image_n3hw) {
  const model::Net& net = learner_.net;
  enter(Phase::encoder);
  const model::Features features = net.encode(image_n3hw, mode_);
  enter(Phase::decoders);
  model::Predictions predictions =
      net.decode_direct(task_gradients_ ? task_gradients_->cut(features) : features, mode_);
  enter(Phase::transfer_nets);
  net.transfer(predictions, mode_);
  return predictions;
}

StepResult Step::compute(const data::Batch& batch, const weighting::Moment& moment) {
  const auto storage = learner_.types.storage;
  const model::ParameterSet& parameters = learner_.net.parameters();
  parameters.flat_gradients().zero_();
  mode_.flat_weights = flat_weights();
  const model::Predictions predictions = predict(batch.image_n3hw);
  enter(Phase::losses);
  const loss::TaskLosses losses = losses_of(predictions, batch);
  const at::Tensor summed = sums_and_counts(losses, parameters.device());
  losses_check_.add(summed);
  communicator_.sum(summed);
  const at::Tensor means = mean_losses(summed);
  const at::Tensor global_losses = objectives(means, config_.loss).to(storage);
  const weighting::StepWeights weights = weigh(global_losses, moment);

  const at::Tensor counts = summed.narrow(0, 4, 4).clamp_min(1.0).to(storage);
  at::Tensor task_weights = weights.weights;
  enter(Phase::backward);
  if (task_gradients_) {
    const auto share = [&](weighting::Task task) { return share_of_objective(losses, counts, weights.weights, task); };
    task_weights = task_weights * task_gradients_->backward({share(weighting::kSegmentation), share(weighting::kDepth)},
                                                            global_losses);
  } else {
    if (communicator_.overlaps()) {
      gradient_sync_.expect_backward();
    }
    share_of_objective(losses, counts, weights.weights, std::nullopt).backward();
    enter(Phase::all_reduce);
    gradient_sync_.reduce();
  }
  if (const double max_norm = learner_.weighting->max_norm(); max_norm > 0.0) {
    clip_norm(parameters.flat_gradients(), max_norm);
  }
  if (learner_.weighting->needs() == weighting::Needs::losses_after_step) {
    batch_ = batch;
  }

  losses_check_.end_step();
  gradients_check_.end_step();

  const auto detached = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.detach() : tensor; };
  return {.predictions = {detached(predictions.seg), detached(predictions.depth), detached(predictions.seg_to_depth),
                          detached(predictions.depth_to_seg)},
          .losses = at::cat({means, weights.total.to(at::kDouble).view({1})}),
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
  mode.flat_weights = flat_weights();
  const at::Tensor summed = sums_and_counts(losses_of(learner_.net.forward(batch_->image_n3hw, mode), *batch_),
                                            learner_.net.parameters().device());
  communicator_.sum(summed);
  return objectives(mean_losses(summed), config_.loss).to(learner_.types.storage);
}

bool Step::is_the_same_each_time() const {
  return learner_.weighting->needs() == weighting::Needs::losses && learner_.weighting->is_the_same_each_step();
}

void Step::set_learning_rate(double learning_rate) {
  learning_rate_ = learning_rate;
  learner_.adam.set_learning_rate(learning_rate);
}

void Step::update(double learning_rate) {
  set_learning_rate(learning_rate);
  update();
}

void Step::update() {
  enter(Phase::optimizer);
  learner_.adam.step();
  learner_.weighting->update(learning_rate_, batch_ ? losses_after_step() : at::Tensor());
  batch_.reset();
}

}  // namespace xtasc::train
