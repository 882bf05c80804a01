#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class LossMethod final : public TaskWeighting {
 public:
  explicit LossMethod(LossFactors factors) : factors_(std::move(factors)) {}

  [[nodiscard]] bool is_the_same_each_step() const override { return true; }

  StepWeights weigh(const at::Tensor& losses_t, const Moment& /*moment*/) override { return factors_(losses_t); }

 private:
  LossFactors factors_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_loss_method(LossFactors factors) {
  return std::make_unique<LossMethod>(std::move(factors));
}

at::Tensor if_any(const at::Tensor& losses_t, const at::Tensor& values_t) {
  return at::where(losses_t > 0.0, values_t, at::zeros_like(values_t));
}

}  // namespace xtasc::weighting
