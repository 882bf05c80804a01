#include <ATen/ATen.h>

#include <optional>
#include <utility>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class Uncertainty final : public TaskWeighting {
 public:
  Uncertainty(const MethodOptions& options, GradientFactors factors)
      : section_(options.section),
        factors_(std::move(factors)),
        log_variance_(at::zeros({options.num_tasks}, options.tensors)),
        gradient_(at::zeros({options.num_tasks}, options.tensors)) {
    if (section_.learning_rate > 0.0) {
      own_adam_ = own_adam(log_variance_, gradient_);
    }
  }

  [[nodiscard]] bool is_the_same_each_step() const override { return true; }
  [[nodiscard]] Needs needs() const override { return factors_ ? Needs::gram : Needs::losses; }

  [[nodiscard]] at::Tensor combine(const at::Tensor& gram_tt, const at::Tensor& losses_t,
                                   const Moment& moment) override {
    return factors_(gram_tt, losses_t, moment);
  }

  StepWeights weigh(const at::Tensor& losses_t, const Moment& /*moment*/) override {
    const at::Tensor weights = 0.5 * at::exp(-log_variance_);
    const at::Tensor weighted = weights * losses_t;
    gradient_.copy_(if_any(losses_t, section_.regulariser - weighted));
    return {weights, if_any(losses_t, weighted + section_.regulariser * log_variance_).sum()};
  }

  void update(double /*learning_rate*/, const at::Tensor& /*losses_after_t*/) override {
    if (own_adam_) {
      own_adam_->step(section_.learning_rate);
    }
  }

  [[nodiscard]] NamedTensors weights() const override { return {{"weighting.log_variance", log_variance_}}; }
  [[nodiscard]] NamedTensors state() const override { return own_adam_ ? own_adam_->state() : NamedTensors{}; }
  [[nodiscard]] at::Tensor flat_values() const override { return own_adam_ ? at::Tensor() : log_variance_; }
  [[nodiscard]] at::Tensor flat_gradients() const override { return own_adam_ ? at::Tensor() : gradient_; }

 private:
  config::WeightingSection section_;
  GradientFactors factors_;
  at::Tensor log_variance_;  ///< (T): s_t
  at::Tensor gradient_;
  std::optional<optim::Adam> own_adam_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_uncertainty(const MethodOptions& options) {
  return std::make_unique<Uncertainty>(options, GradientFactors());
}

std::unique_ptr<TaskWeighting> make_uncertainty_with(const MethodOptions& options, GradientFactors factors) {
  return std::make_unique<Uncertainty>(options, std::move(factors));
}

}  // namespace xtasc::weighting
