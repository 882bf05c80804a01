#include "train/evaluate.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <numeric>

#include "loss/consistency.hpp"
#include "train/step.hpp"

namespace xtasc::train {

EvaluationSums::EvaluationSums(const config::RunConfig& config, const Learner& learner)
    : config_(config),
      folded_(config.train.rewrites ? std::optional(learner.net.folded()) : std::nullopt),
      net_(folded_ ? *folded_ : learner.net),
      mode_({.training = false, .compute = learner.types.compute, .rewrites = config.train.rewrites}),
      storage_(learner.types.storage),
      metrics_(config::has_segmentation(config.model.system) ? learner.net.num_classes() : 0,
               config::has_depth(config.model.system), learner.net.parameters().device()),
      consistency_(learner.net.parameters().device()),
      summed_(at::zeros({8}, at::TensorOptions().dtype(at::kDouble).device(learner.net.parameters().device()))) {}

void EvaluationSums::add(const data::Batch& batch) {
  const config::System system = config_.model.system;
  const model::Predictions predictions = net_.forward(batch.image_n3hw, mode_);
  summed_ += sums_and_counts(
      loss::task_losses(system, config_.loss,
                        {predictions.seg, predictions.depth, predictions.seg_to_depth, predictions.depth_to_seg},
                        {batch.label_nhw, batch.depth_n1hw.to(storage_)},
                        mode_.rewrites ? loss::LossForm::fused : loss::LossForm::plain),
      summed_.device());
  metrics_.add(config::has_segmentation(system) ? predictions.seg.argmax(1) : at::Tensor(), batch.label_nhw,
               predictions.depth, batch.depth_n1hw);
  if (config::has_transfer(system)) {
    consistency_.add({predictions.seg, predictions.depth_to_seg, predictions.depth, predictions.seg_to_depth,
                      batch.label_nhw, batch.depth_n1hw});
  }
}

void EvaluationSums::sum_over_ranks(dist::Communicator& communicator) {
  communicator.sum(summed_);
  const auto sum = [&](const at::Tensor& tensor) { communicator.sum(tensor); };
  metrics_.sum_over_ranks(sum);
  consistency_.sum_over_ranks(sum);
}

Evaluation EvaluationSums::result() const {
  const at::Tensor means = mean_losses(summed_).to(at::kCPU);
  const at::Tensor counts = summed_.narrow(0, 4, 4).to(at::kCPU);
  Evaluation evaluation;
  for (std::int64_t i = 0; i < 4; ++i) {
    if (counts[i].item<double>() > 0) {
      evaluation.losses[loss_name(i)] = means[i].item<double>();
    }
  }
  evaluation.losses["total"] = objectives(means, config_.loss).sum().item<double>();
  evaluation.report = metrics_.report();
  evaluation.consistency = consistency_.report();
  return evaluation;
}

Evaluation evaluate(const config::RunConfig& config, const Learner& learner, const data::Dataset& dataset,
                    dist::Communicator& communicator, const std::function<void(std::int64_t)>& on_batch) {
  const c10::InferenceMode inference;
  EvaluationSums sums(config, learner);
  const std::int64_t batch_size = config.evaluate.batch_size;
  const std::int64_t num_batches = data::steps_per_epoch(dataset.size(), batch_size);
  std::int64_t images_done = 0;
  for (std::int64_t index = communicator.rank(); index < num_batches; index += communicator.size()) {
    const data::Range range = data::global_batch(index, batch_size, dataset.size());
    std::vector<std::int64_t> samples(static_cast<std::size_t>(range.size()));
    std::iota(samples.begin(), samples.end(), range.begin);
    sums.add(dataset.batch(samples));
    images_done += range.size();
    if (on_batch) {
      on_batch(images_done);
    }
  }
  sums.sum_over_ranks(communicator);
  return sums.result();
}

}  // namespace xtasc::train
