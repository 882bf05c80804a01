#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class GradientMethod final : public TaskWeighting {
 public:
  GradientMethod(GradientFactors factors, const at::TensorOptions& options)
      : factors_(std::move(factors)), ones_(at::ones({2}, options)) {}

  [[nodiscard]] Needs needs() const override { return Needs::gram; }

  StepWeights weigh(const at::Tensor& global_losses_2, const Moment& /*moment*/) override {
    return {ones_, global_losses_2.sum()};
  }

  [[nodiscard]] at::Tensor combine(const Gram& gram, const at::Tensor& global_losses_2) const override {
    return factors_(gram, global_losses_2);
  }

 private:
  GradientFactors factors_;
  at::Tensor ones_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_gradient_method(GradientFactors factors, const at::TensorOptions& options) {
  return std::make_unique<GradientMethod>(std::move(factors), options);
}

}  // namespace xtasc::weighting
