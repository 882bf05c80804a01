#include <ATen/ATen.h>

#include <optional>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class Uncertainty final : public TaskWeighting {
 public:
  Uncertainty(const config::WeightingSection& section, const at::TensorOptions& options)
      : section_(section), log_variance_(at::zeros({2}, options)), gradient_(at::zeros({2}, options)) {
    if (section.learning_rate > 0.0) {
      own_adam_ = own_adam(log_variance_, gradient_);
    }
  }

  [[nodiscard]] bool is_the_same_each_step() const override { return true; }

  StepWeights weigh(const at::Tensor& global_losses_2, const Moment& /*moment*/) override {
    const at::Tensor weights = 0.5 * at::exp(-log_variance_);
    const at::Tensor weighted = weights * global_losses_2;
    gradient_.copy_(section_.regulariser - weighted);
    return {weights, (weighted + section_.regulariser * log_variance_).sum()};
  }

  void update(double /*learning_rate*/, const at::Tensor& /*losses_after_2*/) override {
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
  at::Tensor log_variance_;  ///< (2): s_seg, s_depth
  at::Tensor gradient_;
  std::optional<optim::Adam> own_adam_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_uncertainty(const config::WeightingSection& section,
                                                const at::TensorOptions& options) {
  return std::make_unique<Uncertainty>(section, options);
}

}  // namespace xtasc::weighting
