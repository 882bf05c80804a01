#include <ATen/ATen.h>

#include <optional>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class Uncertainty final : public TaskWeighting {
 public:
  explicit Uncertainty(const MethodOptions& options)
      : section_(options.section),
        log_variance_(at::zeros({options.num_tasks}, options.tensors)),
        gradient_(at::zeros({options.num_tasks}, options.tensors)) {
    if (section_.learning_rate > 0.0) {
      own_adam_ = own_adam(log_variance_, gradient_);
    }
  }

  [[nodiscard]] bool is_the_same_each_step() const override { return true; }

  StepWeights weigh(const at::Tensor& losses_t, const Moment& /*moment*/) override {
    const at::Tensor weights = 0.5 * at::exp(-log_variance_);
    const at::Tensor weighted = weights * losses_t;
    gradient_.copy_(section_.regulariser - weighted);
    return {weights, (weighted + section_.regulariser * log_variance_).sum()};
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
  at::Tensor log_variance_;  ///< (T): s_t
  at::Tensor gradient_;
  std::optional<optim::Adam> own_adam_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_uncertainty(const MethodOptions& options) {
  return std::make_unique<Uncertainty>(options);
}

}  // namespace xtasc::weighting
