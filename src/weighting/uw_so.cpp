#include <ATen/ATen.h>

#include <limits>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

constexpr double kIgnored = 1e-3;

class UwSo final : public TaskWeighting {
 public:
  explicit UwSo(const MethodOptions& options) : temperature_(options.section.temperature) {}

  [[nodiscard]] bool is_the_same_each_step() const override { return true; }
  [[nodiscard]] double smallest_weight() const override { return kIgnored; }

  StepWeights weigh(const at::Tensor& losses_t, const Moment& /*moment*/) override {
    const at::Tensor inverse = (losses_t + kEpsilon).reciprocal() / temperature_;
    const at::Tensor none = at::full_like(inverse, -std::numeric_limits<double>::infinity());
    const at::Tensor weights = if_any(losses_t, at::softmax(at::where(losses_t > 0.0, inverse, none), 0));
    return {weights, (weights * losses_t).sum()};
  }

 private:
  double temperature_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_uw_so(const MethodOptions& options) {
  return std::make_unique<UwSo>(options);
}

}  // namespace xtasc::weighting
