#include "train/epoch_sums.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "train/conflict.hpp"

namespace xtasc::train {

namespace {

at::Tensor on_device(const std::vector<double>& values, at::Device device) {
  return at::tensor(values, at::kDouble).to(device);
}

void to_host(const at::Tensor& tensor, std::vector<double>& values) {
  const at::Tensor on_host = tensor.to(at::kCPU);
  std::copy_n(on_host.const_data_ptr<double>(), values.size(), values.begin());
}

}  // namespace

EpochSums::EpochSums(Progress& progress, const Learner& learner, bool counts_by_term, at::Device device) {
  if (counts_by_term && progress.epoch_term_images.empty()) {
    progress.epoch_term_images.assign(learner.objective->terms().size(), 0.0);
  }
  if (combines_gradients(learner.weighting->needs())) {
    progress.epoch_conflict_sums.resize(num_conflict_counts(learner.net.tasks().size()));
  }
  losses_ = on_device(progress.epoch_loss_sums, device);
  weights_ = on_device(progress.epoch_weight_sums, device);
  term_images_ = on_device(progress.epoch_term_images, device);
  conflicts_ = on_device(progress.epoch_conflict_sums, device);
}

void EpochSums::add(const StepResult& result, std::int64_t images) {
  losses_.add_(result.losses * static_cast<double>(images));
  weights_.add_(result.task_weights * static_cast<double>(images));
  if (term_images_.size(0) > 0) {
    term_images_.add_(result.is_counted * static_cast<double>(images));
  }
  if (result.gram_tt.defined()) {
    conflicts_.add_(conflict_counts(result.gram_tt));
  }
}

void EpochSums::store(Progress& progress) const {
  to_host(losses_, progress.epoch_loss_sums);
  to_host(weights_, progress.epoch_weight_sums);
  to_host(term_images_, progress.epoch_term_images);
  to_host(conflicts_, progress.epoch_conflict_sums);
}

void clear_epoch(Progress& progress) {
  progress.step_in_epoch = 0;
  std::ranges::fill(progress.epoch_loss_sums, 0.0);
  std::ranges::fill(progress.epoch_weight_sums, 0.0);
  progress.epoch_term_images.clear();
  progress.epoch_conflict_sums.clear();
  progress.epoch_phase_seconds.clear();
  progress.epoch_images = 0;
  progress.epoch_seconds = 0.0;
}

}  // namespace xtasc::train
