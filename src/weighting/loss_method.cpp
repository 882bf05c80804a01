#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class LossMethod final : public TaskWeighting {
 public:
  LossMethod(LossFactors factors, bool are_given) : factors_(std::move(factors)), are_given_(are_given) {}

  [[nodiscard]] bool is_the_same_each_step() const override { return true; }
  [[nodiscard]] bool weighs_before_losses() const override { return are_given_; }

  StepWeights weigh(const at::Tensor& losses_t, const Moment& /*moment*/) override { return factors_(losses_t); }

 private:
  LossFactors factors_;
  bool are_given_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_loss_method(LossFactors factors, bool are_given) {
  return std::make_unique<LossMethod>(std::move(factors), are_given);
}

at::Tensor if_any(const at::Tensor& losses_t, const at::Tensor& values_t) {
  return at::where(losses_t > 0.0, values_t, at::zeros_like(values_t));
}

}  // namespace xtasc::weighting
