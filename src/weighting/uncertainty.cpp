#include <ATen/ATen.h>

#include "weighting/task_weighting.hpp"

namespace xtasc::weighting {

namespace {

class Uncertainty final : public TaskWeighting {
 public:
  explicit Uncertainty(const at::TensorOptions& options)
      : log_variance_(at::zeros({2}, options)), gradient_(at::zeros({2}, options)) {}

  StepWeights weigh(const at::Tensor& global_losses_2) override {
    const at::Tensor weights = 0.5 * at::exp(-log_variance_);
    const at::Tensor weighted = weights * global_losses_2;
    gradient_.copy_(1.0 - weighted);
    return {weights, (weighted + log_variance_).sum()};
  }

  [[nodiscard]] std::vector<std::pair<std::string, at::Tensor>> state() const override {
    return {{"weighting.log_variance", log_variance_}};
  }
  [[nodiscard]] at::Tensor flat_values() const override { return log_variance_; }
  [[nodiscard]] at::Tensor flat_gradients() const override { return gradient_; }

 private:
  at::Tensor log_variance_;  ///< (2): s_seg, s_depth
  at::Tensor gradient_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_uncertainty(const at::TensorOptions& options) {
  return std::make_unique<Uncertainty>(options);
}

}  // namespace xtasc::weighting
