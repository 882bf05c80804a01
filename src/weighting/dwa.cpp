#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

constexpr double kSmallestLoss = 1e-12;

class Dwa final : public TaskWeighting {
 public:
  Dwa(const config::WeightingSection& section, const at::TensorOptions& options)
      : section_(section),
        ones_(at::ones({2}, options)),
        epoch_losses_(at::zeros({2, 2}, options.dtype(at::kDouble))) {}

  StepWeights weigh(const at::Tensor& global_losses_2, const Moment& moment) override {
    at::Tensor weights = ones_;
    if (moment.epoch >= 2) {
      const at::Tensor rates = epoch_losses_[0] / epoch_losses_[1].clamp_min(kSmallestLoss);
      weights = (2.0 * at::softmax(rates / section_.temperature, 0)).to(global_losses_2.scalar_type());
    }
    return {weights, (weights * global_losses_2).sum()};
  }

  void end_epoch(std::int64_t /*epoch*/, const at::Tensor& mean_losses_2) override {
    epoch_losses_[1].copy_(epoch_losses_[0]);
    epoch_losses_[0].copy_(mean_losses_2);
  }

  [[nodiscard]] NamedTensors state() const override { return {{"weighting.epoch_losses", epoch_losses_}}; }

 private:
  config::WeightingSection section_;
  at::Tensor ones_;
  at::Tensor epoch_losses_;  ///< (epoch, task): means of the last epoch and of the one before
};

}  // namespace

std::unique_ptr<TaskWeighting> make_dwa(const config::WeightingSection& section, const at::TensorOptions& options) {
  return std::make_unique<Dwa>(section, options);
}

}  // namespace xtasc::weighting
