#include "train/step.hpp"

#include <ATen/ATen.h>

#include <array>

#include "core/error.hpp"

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
      gradient_sync_(communicator, {learner.net.parameters().flat_gradients()},
                     static_cast<std::int64_t>(config.train.bucket_mib * 1024.0 * 1024.0)),
      mode_{.training = true, .compute = learner.types.compute} {
  if (communicator.size() > 1) {
    mode_.sum_over_ranks = [this](const at::Tensor& tensor) { communicator_.sum(tensor); };
  }
}

StepResult Step::compute(const data::Batch& batch) {
  const auto storage = learner_.types.storage;
  learner_.net.parameters().flat_gradients().zero_();

  const model::Predictions predictions = learner_.net.forward(batch.image_n3hw, mode_);
  const loss::TaskLosses losses =
      loss::task_losses(config_.model.system, config_.loss,
                        {predictions.seg, predictions.depth, predictions.seg_to_depth, predictions.depth_to_seg},
                        {batch.label_nhw, batch.depth_n1hw.to(storage)});

  const at::Tensor summed = sums_and_counts(losses, batch.image_n3hw.device());
  communicator_.sum(summed);
  const at::Tensor means = mean_losses(summed);
  const weighting::StepWeights weights = learner_.weighting->weigh(objectives(means, config_.loss).to(storage));

  // This rank's share of the objective: its sums over everybody's counts. The shares' gradients add up to the gradient.
  const at::Tensor counts = summed.narrow(0, 4, 4).clamp_min(1.0).to(storage);
  const std::array<double, 4> shares = {1.0 - config_.loss.lambda_1, 1.0 - config_.loss.lambda_2, config_.loss.lambda_1,
                                        config_.loss.lambda_2};
  constexpr std::array<std::int64_t, 4> kTaskOf = {weighting::kSegmentation, weighting::kDepth,
                                                   weighting::kSegmentation, weighting::kDepth};
  at::Tensor objective;
  const Losses plain = in_order(losses);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    if (plain[i]->sum.defined()) {
      const at::Tensor term =
          plain[i]->sum * (shares[i] * weights.weights[kTaskOf[i]] / counts[static_cast<std::int64_t>(i)]);
      objective = objective.defined() ? objective + term : term;
    }
  }
  objective.backward();
  gradient_sync_.reduce();

  const auto detached = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.detach() : tensor; };
  return {.predictions = {detached(predictions.seg), detached(predictions.depth), detached(predictions.seg_to_depth),
                          detached(predictions.depth_to_seg)},
          .losses = at::cat({means, weights.total.to(at::kDouble).view({1})}),
          .task_weights = weights.weights};
}

void Step::update(double learning_rate) {
  learner_.adam.step(learning_rate);
}

}  // namespace xtasc::train
