#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class Alsw final : public TaskWeighting {
 public:
  explicit Alsw(const MethodOptions& options) : ones_(at::ones({options.num_tasks}, options.tensors)) {}

  [[nodiscard]] Needs needs() const override { return Needs::own_magnitudes; }

  StepWeights weigh(const at::Tensor& losses_t, const Moment& /*moment*/) override { return {ones_, losses_t.sum()}; }

  [[nodiscard]] at::Tensor weigh_by_magnitudes(const at::Tensor& magnitudes_t) const override {
    constexpr double kSmallest = 1e-30;  // no task has a gradient: none gets one
    return magnitudes_t / magnitudes_t.sum().clamp_min(kSmallest);
  }

 private:
  at::Tensor ones_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_alsw(const MethodOptions& options) {
  return std::make_unique<Alsw>(options);
}

}  // namespace xtasc::weighting
