#include <ATen/ATen.h>

#include "weighting/methods.hpp"
#include "weighting/simplex.hpp"

namespace xtasc::weighting {

namespace {

constexpr int kInnerSteps = 20;
constexpr double kMomentum = 0.5;

class SdmGrad final : public OfPlainLosses {
 public:
  explicit SdmGrad(const MethodOptions& options)
      : OfPlainLosses(options),
        section_(options.section),
        shares_(at::full({options.num_tasks}, 1.0 / static_cast<double>(options.num_tasks),
                         options.tensors.dtype(at::kDouble))) {}

  [[nodiscard]] Needs needs() const override { return Needs::gram; }
  [[nodiscard]] double max_norm() const override { return section_.max_norm; }

  [[nodiscard]] at::Tensor combine(const at::Tensor& gram_tt, const at::Tensor& /*losses_t*/,
                                   const Moment& /*moment*/) override {
    return sdmgrad_factors(gram_tt, shares_, section_.lambda, section_.learning_rate);
  }

  [[nodiscard]] NamedTensors state() const override { return {{"weighting.shares", shares_}}; }

 private:
  config::WeightingSection section_;
  at::Tensor shares_;  ///< (T) float64: w, from which the next step goes on
};

}  // namespace

at::Tensor sdmgrad_factors(const at::Tensor& gram_tt, const at::Tensor& shares_t, double lambda, double learning_rate) {
  const auto num_tasks = static_cast<double>(gram_tt.size(0));
  const at::Tensor scale = gram_tt.diagonal().clamp_min(0.0).sqrt().mean();
  const at::Tensor matrix = gram_tt / (scale * scale).clamp_min(kTiny);
  const at::Tensor pull = lambda * matrix.mean(1);
  at::Tensor velocity = at::zeros_like(shares_t);
  for (int i = 0; i < kInnerSteps; ++i) {
    velocity = kMomentum * velocity + at::mv(matrix, shares_t) + pull;
    shares_t.copy_(nearest_of_simplex(shares_t - learning_rate * velocity));
  }
  return num_tasks * (shares_t + lambda / num_tasks) / (1.0 + lambda);
}

std::unique_ptr<TaskWeighting> make_sdmgrad(const MethodOptions& options) {
  return std::make_unique<SdmGrad>(options);
}

}  // namespace xtasc::weighting
