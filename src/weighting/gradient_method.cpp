#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class GradientMethod final : public OfPlainLosses {
 public:
  GradientMethod(const MethodOptions& options, GradientFactors factors, double max_norm)
      : OfPlainLosses(options), factors_(std::move(factors)), max_norm_(max_norm) {}

  [[nodiscard]] Needs needs() const override { return Needs::gram; }
  [[nodiscard]] double max_norm() const override { return max_norm_; }

  [[nodiscard]] at::Tensor combine(const at::Tensor& gram_tt, const at::Tensor& losses_t,
                                   const Moment& moment) override {
    return factors_(gram_tt, losses_t, moment);
  }

 private:
  GradientFactors factors_;
  double max_norm_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_gradient_method(const MethodOptions& options, GradientFactors factors,
                                                    double max_norm) {
  return std::make_unique<GradientMethod>(options, std::move(factors), max_norm);
}

}  // namespace xtasc::weighting
