#include <ATen/ATen.h>

#include <optional>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class ImtlL final : public TaskWeighting {
 public:
  ImtlL(const MethodOptions& options, GradientFactors factors)
      : section_(options.section),
        factors_(std::move(factors)),
        log_scale_(at::zeros({options.num_tasks}, options.tensors)),
        gradient_(at::zeros({options.num_tasks}, options.tensors)) {
    if (section_.learning_rate > 0.0) {
      own_adam_ = own_adam(log_scale_, gradient_);
    }
  }

  [[nodiscard]] bool is_the_same_each_step() const override { return true; }
  [[nodiscard]] Needs needs() const override { return factors_ ? Needs::gram : Needs::losses; }

  StepWeights weigh(const at::Tensor& losses_t, const Moment& /*moment*/) override {
    const at::Tensor weights = at::exp(log_scale_);
    const at::Tensor weighted = weights * losses_t;
    gradient_.copy_(if_any(losses_t, weighted - 1.0));
    return {weights, if_any(losses_t, weighted - log_scale_).sum()};
  }

  [[nodiscard]] at::Tensor combine(const at::Tensor& gram_tt, const at::Tensor& losses_t,
                                   const Moment& moment) override {
    return factors_(gram_tt, losses_t, moment);
  }

  void update(double /*learning_rate*/, const at::Tensor& /*losses_after_t*/) override {
    if (own_adam_) {
      own_adam_->step(section_.learning_rate);
    }
  }

  [[nodiscard]] NamedTensors state() const override {
    NamedTensors state = own_adam_ ? own_adam_->state() : NamedTensors{};
    state.emplace_back("weighting.log_scale", log_scale_);
    return state;
  }
  [[nodiscard]] at::Tensor flat_values() const override { return own_adam_ ? at::Tensor() : log_scale_; }
  [[nodiscard]] at::Tensor flat_gradients() const override { return own_adam_ ? at::Tensor() : gradient_; }

 private:
  config::WeightingSection section_;
  GradientFactors factors_;
  at::Tensor log_scale_;  ///< (T): s_t
  at::Tensor gradient_;
  std::optional<optim::Adam> own_adam_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_imtl_l(const MethodOptions& options) {
  return std::make_unique<ImtlL>(options, GradientFactors());
}

std::unique_ptr<TaskWeighting> make_imtl(const MethodOptions& options) {
  return std::make_unique<ImtlL>(
      options, [](const at::Tensor& gram_tt, const at::Tensor&, const Moment&) { return imtl_g_factors(gram_tt); });
}

}  // namespace xtasc::weighting
