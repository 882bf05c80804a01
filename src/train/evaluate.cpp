#include "train/evaluate.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "train/step.hpp"

namespace xtasc::train {

std::vector<analysis::TaskPair> pairs_of(const model::Network& net) {
  std::vector<analysis::TaskPair> pairs;
  for (const model::Transfer& transfer : net.transfers()) {
    pairs.push_back({task::of_key(transfer.from), task::of_key(transfer.to)});
  }
  return pairs;
}

EvaluationSums::EvaluationSums(const config::RunConfig& config, const Learner& learner)
    : objective_(objective_of(config, learner.net, TransfersOf::evaluation)),
      folded_(config.train.rewrites ? learner.net.folded() : nullptr),
      net_(folded_ ? *folded_ : learner.net),
      mode_({.training = false, .compute = learner.types.compute, .rewrites = config.train.rewrites}),
      storage_(learner.types.storage),
      metrics_(learner.net.tasks(), learner.net.num_classes(), learner.net.parameters().device()),
      consistency_(pairs_of(learner.net), learner.net.parameters().device()),
      summed_(at::zeros({2 * static_cast<std::int64_t>(objective_->terms().size())},
                        at::TensorOptions().dtype(at::kDouble).device(learner.net.parameters().device()))) {}

void EvaluationSums::add(const data::Batch& batch) {
  const model::Predictions predictions = net_.forward(batch.image_n3hw, mode_);
  summed_ += sums_and_counts(objective_->losses(predictions, targets_of(batch, net_.tasks(), storage_),
                                                mode_.rewrites ? loss::LossForm::fused : loss::LossForm::plain));
  metrics_.add(predictions.direct, batch.targets);
  std::vector<analysis::TransferredBatch> transferred;
  for (const auto& [transfer, prediction] : predictions.transferred) {
    transferred.push_back({predictions.of(transfer.to), prediction, batch.truth_of(transfer.to)});
  }
  consistency_.add(transferred);
}

void EvaluationSums::sum_over_ranks(dist::Communicator& communicator) {
  communicator.sum(summed_);
  const auto sum = [&](const at::Tensor& tensor) { communicator.sum(tensor); };
  metrics_.sum_over_ranks(sum);
  consistency_.sum_over_ranks(sum);
}

Evaluation EvaluationSums::result() const {
  const at::Tensor means = mean_losses(summed_).to(at::kCPU);
  const auto& terms = objective_->terms();
  const auto num_terms = static_cast<std::int64_t>(terms.size());
  const at::Tensor counts = summed_.narrow(0, num_terms, num_terms).to(at::kCPU);
  Evaluation evaluation;
  for (std::int64_t k = 0; k < num_terms; ++k) {
    if (counts[k].item<double>() > 0) {
      evaluation.losses[terms[static_cast<std::size_t>(k)].name] = means[k].item<double>();
    }
  }
  evaluation.losses["total"] = task_losses(means, *objective_).sum().item<double>();
  evaluation.report = metrics_.report();
  evaluation.consistency = consistency_.report();
  return evaluation;
}

Evaluation evaluate(const config::RunConfig& config, const Learner& learner, const data::Dataset& dataset,
                    dist::Communicator& communicator, const std::function<void(std::int64_t)>& on_batch) {
  return *evaluate_unless_stopped(config, learner, dataset, communicator, [&on_batch](std::int64_t images_done) {
    if (on_batch) {
      on_batch(images_done);
    }
    return true;
  });
}

std::optional<Evaluation> evaluate_unless_stopped(const config::RunConfig& config, const Learner& learner,
                                                  const data::Dataset& dataset, dist::Communicator& communicator,
                                                  const std::function<bool(std::int64_t)>& goes_on) {
  const c10::InferenceMode inference;
  EvaluationSums sums(config, learner);
  const std::int64_t batch_size = config.evaluate.batch_size;
  const std::int64_t num_batches = data::steps_per_epoch(dataset.size(), batch_size);
  std::int64_t images_done = 0;
  for (std::int64_t round = 0; round < num_batches; round += communicator.size()) {
    const std::int64_t index = round + communicator.rank();
    if (index < num_batches) {
      const data::Range range = data::global_batch(index, batch_size, dataset.size());
      sums.add(dataset.batch(
          dataset.samples().subspan(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.size()))));
      images_done += range.size();
    }
    if (!goes_on(images_done)) {
      return std::nullopt;
    }
  }
  sums.sum_over_ranks(communicator);
  return sums.result();
}

}  // namespace xtasc::train
