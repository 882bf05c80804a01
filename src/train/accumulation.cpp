#include "train/accumulation.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "config/systems.hpp"
#include "loss/distillation.hpp"
#include "train/step.hpp"

namespace xtasc::train {

at::Tensor counts_of(const loss::Objective& objective, const model::Network& net, const data::Batch& batch,
                     const model::Mode& mode) {
  const c10::NoGradGuard no_grad;
  const at::Tensor& image = batch.image_n3hw;
  const at::TensorOptions type = net.parameters().flat_values().options();
  const at::Tensor zero = at::zeros({1, 1, 1, 1}, type);
  loss::Targets targets = targets_of(batch, objective.tasks(), net.parameters().flat_values().scalar_type());
  model::Predictions predictions;
  for (const task::Task& task : objective.tasks()) {
    const std::int64_t channels = task.kind == task::Kind::classes ? net.num_classes() : task.channels;
    predictions.direct.emplace(task.key, zero.expand({image.size(0), channels, image.size(2), image.size(3)}));
    if (mode.wants_features) {
      const at::Tensor feature = zero.expand({image.size(0), 1, 1, 1});
      predictions.features[std::string(task.key)] = {feature};
      targets.emplace(loss::feature_key(task.key, 0), feature);
    }
  }
  const std::vector<model::Transfer> transfers = net.transfers();
  for (std::size_t i = 0; i < transfers.size(); ++i) {
    if (mode.computes_transfer(i)) {
      predictions.transferred.push_back({transfers[i], predictions.of(transfers[i].to)});
    }
  }
  const at::Tensor summed = sums_and_counts(objective.losses(predictions, targets));
  const std::int64_t num_terms = summed.size(0) / 2;
  return summed.narrow(0, num_terms, num_terms).clone();
}

}  // namespace xtasc::train
