#include "train/evaluate.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <numeric>
#include <optional>

#include "loss/consistency.hpp"
#include "metric/consistency.hpp"
#include "train/step.hpp"

namespace xtasc::train {

Evaluation evaluate(const config::RunConfig& config, const Learner& learner, const data::Dataset& dataset,
                    dist::Communicator& communicator, const std::function<void(std::int64_t)>& on_batch) {
  const c10::InferenceMode inference;
  const at::Device device = learner.net.parameters().device();
  const model::Mode mode = {.training = false, .compute = learner.types.compute, .rewrites = config.train.rewrites};
  const std::optional<model::Net> folded = config.train.rewrites ? std::optional(learner.net.folded()) : std::nullopt;
  const model::Net& net = folded ? *folded : learner.net;
  const bool has_segmentation = config::has_segmentation(config.model.system);
  metric::Metrics metrics(has_segmentation ? learner.net.num_classes() : 0, config::has_depth(config.model.system),
                          device);
  const bool has_transfer = config::has_transfer(config.model.system);
  metric::ConsistencyEnergy consistency(device);
  at::Tensor summed = at::zeros({8}, at::TensorOptions().dtype(at::kDouble).device(device));

  const std::int64_t batch_size = config.evaluate.batch_size;
  const std::int64_t num_batches = data::steps_per_epoch(dataset.size(), batch_size);
  std::int64_t images_done = 0;
  for (std::int64_t index = communicator.rank(); index < num_batches; index += communicator.size()) {
    const data::Range range = data::global_batch(index, batch_size, dataset.size());
    std::vector<std::int64_t> samples(static_cast<std::size_t>(range.size()));
    std::iota(samples.begin(), samples.end(), range.begin);
    const data::Batch batch = dataset.batch(samples);
    const model::Predictions predictions = net.forward(batch.image_n3hw, mode);
    summed += sums_and_counts(
        loss::task_losses(config.model.system, config.loss,
                          {predictions.seg, predictions.depth, predictions.seg_to_depth, predictions.depth_to_seg},
                          {batch.label_nhw, batch.depth_n1hw.to(learner.types.storage)},
                          mode.rewrites ? loss::LossForm::fused : loss::LossForm::plain),
        device);
    metrics.add(has_segmentation ? predictions.seg.argmax(1) : at::Tensor(), batch.label_nhw, predictions.depth,
                batch.depth_n1hw);
    if (has_transfer) {
      consistency.add({predictions.seg, predictions.depth_to_seg, predictions.depth, predictions.seg_to_depth,
                       batch.label_nhw, batch.depth_n1hw});
    }
    images_done += range.size();
    if (on_batch) {
      on_batch(images_done);
    }
  }
  communicator.sum(summed);
  const auto sum = [&](const at::Tensor& tensor) { communicator.sum(tensor); };
  metrics.sum_over_ranks(sum);
  consistency.sum_over_ranks(sum);

  const at::Tensor means = mean_losses(summed).to(at::kCPU);
  const at::Tensor counts = summed.narrow(0, 4, 4).to(at::kCPU);
  Evaluation evaluation;
  for (std::int64_t i = 0; i < 4; ++i) {
    if (counts[i].item<double>() > 0) {
      evaluation.losses[loss_name(i)] = means[i].item<double>();
    }
  }
  evaluation.losses["total"] = objectives(means, config.loss).sum().item<double>();
  evaluation.report = metrics.report();
  evaluation.consistency = consistency.report();
  return evaluation;
}

}  // namespace xtasc::train
