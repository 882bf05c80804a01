#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

constexpr double kNone = 1e-30;  ///< no task has a loss: none gets a weight

class Famo final : public TaskWeighting {
 public:
  explicit Famo(const MethodOptions& options)
      : section_(options.section),
        logits_(at::zeros({options.num_tasks}, options.tensors)),
        gradient_(at::zeros({options.num_tasks}, options.tensors)),
        adam_(own_adam(logits_, gradient_, options.section.weight_decay)) {}

  [[nodiscard]] Needs needs() const override { return Needs::losses_after_step; }
  [[nodiscard]] double max_norm() const override { return section_.max_norm; }

  StepWeights weigh(const at::Tensor& losses_t, const Moment& /*moment*/) override {
    const at::Tensor shares = at::softmax(logits_, 0);
    const at::Tensor losses = losses_t + kEpsilon;
    const at::Tensor of_each = if_any(losses_t, shares / losses);
    const at::Tensor sum = of_each.sum().clamp_min(kNone);
    losses_before_ = losses_t.clone();
    return {of_each / sum, if_any(losses_t, shares * losses.log()).sum() / sum};
  }

  void update(double /*learning_rate*/, const at::Tensor& losses_after_t) override {
    const at::Tensor of_all = at::softmax(logits_, 0);
    const at::Tensor of_some = if_any(losses_before_, of_all);
    const at::Tensor has_all = (losses_before_ > 0.0).all();
    const at::Tensor shares = at::where(has_all, of_all, of_some / of_some.sum().clamp_min(kNone));
    const at::Tensor decrease = (losses_before_ + kEpsilon).log() - (losses_after_t + kEpsilon).log();
    gradient_.copy_(shares * (decrease - (shares * decrease).sum()));
    adam_.step(section_.learning_rate);
  }

  [[nodiscard]] NamedTensors state() const override {
    NamedTensors state = adam_.state();
    state.emplace_back("weighting.logits", logits_);
    return state;
  }

 private:
  config::WeightingSection section_;
  at::Tensor logits_, gradient_;  ///< (T)
  at::Tensor losses_before_;      ///< (T): of the step under way
  optim::Adam adam_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_famo(const MethodOptions& options) {
  return std::make_unique<Famo>(options);
}

}  // namespace xtasc::weighting
