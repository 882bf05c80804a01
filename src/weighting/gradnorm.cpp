#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

constexpr double kSmallestWeight = 1e-3;
constexpr double kSmallestRate = 1e-12;

class GradNorm final : public TaskWeighting {
 public:
  explicit GradNorm(const MethodOptions& options)
      : section_(options.section),
        weights_(at::ones({options.num_tasks}, options.tensors)),
        gradient_(at::zeros({options.num_tasks}, options.tensors)),
        initial_losses_(at::zeros({options.num_tasks}, options.tensors.dtype(at::kDouble))),
        adam_(own_adam(weights_, gradient_)) {}

  [[nodiscard]] Needs needs() const override { return Needs::norms; }

  StepWeights weigh(const at::Tensor& losses_t, const Moment& moment) override {
    knows_initial_losses_ = moment.epoch > 0;
    return {weights_.clone(), (weights_ * losses_t).sum()};
  }

  /// Means are over the tasks that have a loss in this batch, and only theirs have a gradient.
  void see_norms(const at::Tensor& norms_t, const at::Tensor& losses_t) override {
    const at::Tensor num_tasks = losses_t.gt(0.0).sum().clamp_min(1);
    const at::Tensor rates = losses_t.to(at::kDouble) / initial_losses_.clamp_min(kSmallestRate);
    const at::Tensor relative_rates = rates / (rates.sum() / num_tasks).clamp_min(kSmallestRate);
    const at::Tensor targets = norms_t.sum() / num_tasks * relative_rates.pow(section_.alpha);
    gradient_.copy_(if_any(losses_t, at::sign(norms_t - targets) * norms_t / weights_));
  }

  void update(double learning_rate, const at::Tensor& /*losses_after_t*/) override {
    if (!knows_initial_losses_) {
      return;
    }
    adam_.step(section_.learning_rate > 0.0 ? section_.learning_rate : learning_rate);
    weights_.clamp_min_(kSmallestWeight);
    weights_.mul_(static_cast<double>(weights_.size(0)) / weights_.sum());
  }

  void end_epoch(std::int64_t epoch, const at::Tensor& mean_losses_t) override {
    if (epoch == 0) {
      initial_losses_.copy_(mean_losses_t);
    }
  }

  [[nodiscard]] NamedTensors state() const override {
    NamedTensors state = adam_.state();
    state.emplace_back("weighting.weights", weights_);
    state.emplace_back("weighting.initial_losses", initial_losses_);
    return state;
  }

 private:
  config::WeightingSection section_;
  at::Tensor weights_, gradient_, initial_losses_;  ///< (T)
  optim::Adam adam_;
  bool knows_initial_losses_ = false;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_gradnorm(const MethodOptions& options) {
  return std::make_unique<GradNorm>(options);
}

}  // namespace xtasc::weighting
