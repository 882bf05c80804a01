#include "train/task_gradients.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/error.hpp"
#include "train/gradient_math.hpp"

namespace xtasc::train {

namespace {

/// GradNorm's W.
at::Tensor last_shared_layer(const model::ParameterSet& set) {
  at::Tensor layer;
  for (const auto& [name, tensor] : set.parameters()) {
    if (name.starts_with("encoder.layer4.") && name.ends_with(".conv2.weight")) {
      layer = tensor;
    }
  }
  check(layer.defined(), "the encoder has no layer4.*.conv2.weight");
  return layer;
}

at::Tensor squared_norm(const std::vector<at::Tensor>& parts) {
  at::Tensor sum = dot_64(parts.front(), parts.front());
  for (std::size_t i = 1; i < parts.size(); ++i) {
    sum = sum + dot_64(parts[i], parts[i]);
  }
  return sum;
}

}  // namespace

TaskGradients::TaskGradients(const config::RunConfig& config, Learner& learner, dist::Communicator& communicator,
                             dist::GradientSync& sync, const dist::GradientSync::Inspect& inspect)
    : learner_(learner),
      communicator_(communicator),
      sync_(sync),
      parts_(learner.net.gradient_parts()),
      combines_all_(config.weighting.parameters == config::WeightedParameters::all) {
  if (learner.weighting->needs() == weighting::Needs::gram) {
    seg_shared_ = at::empty_like(parts_.shared);
    seg_shared_sync_.emplace(communicator, std::vector<at::Tensor>{seg_shared_},
                             static_cast<std::int64_t>(config.train.bucket_mib * 1024.0 * 1024.0), inspect);
  } else {
    layer_ = last_shared_layer(learner.net.parameters());
  }
}

model::Features TaskGradients::cut(const model::Features& features) {
  features_ = features;
  for (std::size_t k = 0; k < features.size(); ++k) {
    leaves_[k] = features[k].detach().requires_grad_(true);
  }
  return leaves_;
}

at::Tensor TaskGradients::backward(const std::array<at::Tensor, 2>& objectives, const at::Tensor& global_losses_2) {
  TaskFeatures at_cut;
  for (std::size_t task = 0; task < objectives.size(); ++task) {
    objectives[task].backward();
    for (std::size_t k = 0; k < leaves_.size(); ++k) {
      at_cut[task][k] = std::exchange(leaves_[k].mutable_grad(), {});
    }
  }
  at::Tensor factors = at::ones_like(global_losses_2);
  if (seg_shared_.defined()) {
    factors = combine(at_cut, global_losses_2).to(global_losses_2.scalar_type());
  } else {
    show_norms(at_cut, global_losses_2);
    model::Features sum;
    for (std::size_t k = 0; k < sum.size(); ++k) {
      sum[k] = at_cut[weighting::kSegmentation][k] + at_cut[weighting::kDepth][k];
    }
    into_encoder(sum, /*retain_graph=*/false);
    sync_.reduce();
  }
  features_ = {};
  leaves_ = {};
  return factors;
}

at::Tensor TaskGradients::combine(const TaskFeatures& at_cut, const at::Tensor& global_losses_2) {
  const at::Tensor& shared = parts_.shared;
  into_encoder(at_cut[weighting::kSegmentation], /*retain_graph=*/true);
  seg_shared_.copy_(shared);
  shared.zero_();
  into_encoder(at_cut[weighting::kDepth], /*retain_graph=*/false);
  seg_shared_sync_->reduce();
  sync_.reduce();

  weighting::Gram gram = {dot_64(seg_shared_, seg_shared_), dot_64(seg_shared_, shared), dot_64(shared, shared)};
  if (combines_all_) {  // no parameter of one task's own is reached by the other
    gram.seg_seg += squared_norm(parts_.own[weighting::kSegmentation]);
    gram.depth_depth += squared_norm(parts_.own[weighting::kDepth]);
  }
  const at::Tensor factors = learner_.weighting->combine(gram, global_losses_2);
  const at::Tensor a = factors.to(shared.scalar_type());
  shared.mul_(a[weighting::kDepth]).addcmul_(seg_shared_, a[weighting::kSegmentation]);
  if (combines_all_) {
    for (const auto task : {weighting::kSegmentation, weighting::kDepth}) {
      for (const at::Tensor& own : parts_.own[task]) {
        own.mul_(a[task]);
      }
    }
  }
  return factors;
}

void TaskGradients::show_norms(const TaskFeatures& at_cut, const at::Tensor& global_losses_2) {
  std::vector<at::Tensor> at_layer;
  for (const model::Features& gradients : at_cut) {
    // W is behind the cut's last output only.
    const auto found = torch::autograd::grad({features_.back()}, {layer_}, {gradients.back()}, /*retain_graph=*/true);
    at_layer.push_back(found.front().flatten());
  }
  const at::Tensor both = at::stack(at_layer);
  communicator_.sum(both);
  const at::Tensor norms = at::stack({dot_64(both[weighting::kSegmentation], both[weighting::kSegmentation]),
                                      dot_64(both[weighting::kDepth], both[weighting::kDepth])});
  learner_.weighting->see_norms(norms.sqrt(), global_losses_2);
}

void TaskGradients::into_encoder(const model::Features& gradients, bool retain_graph) const {
  torch::autograd::backward({features_.begin(), features_.end()}, {gradients.begin(), gradients.end()}, retain_graph);
}

}  // namespace xtasc::train
