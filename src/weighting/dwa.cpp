#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

constexpr double kSmallestLoss = 1e-12;

class Dwa final : public TaskWeighting {
 public:
  explicit Dwa(const MethodOptions& options)
      : section_(options.section),
        ones_(at::ones({options.num_tasks}, options.tensors)),
        epoch_losses_(at::zeros({2, options.num_tasks}, options.tensors.dtype(at::kDouble))) {}

  StepWeights weigh(const at::Tensor& losses_t, const Moment& moment) override {
    at::Tensor weights = ones_;
    if (moment.epoch >= 2) {
      const at::Tensor rates = epoch_losses_[0] / epoch_losses_[1].clamp_min(kSmallestLoss);
      weights = (static_cast<double>(rates.size(0)) * at::softmax(rates / section_.temperature, 0))
                    .to(losses_t.scalar_type());
    }
    return {weights, (weights * losses_t).sum()};
  }

  void end_epoch(std::int64_t /*epoch*/, const at::Tensor& mean_losses_t) override {
    epoch_losses_[1].copy_(epoch_losses_[0]);
    epoch_losses_[0].copy_(mean_losses_t);
  }

  [[nodiscard]] NamedTensors state() const override { return {{"weighting.epoch_losses", epoch_losses_}}; }

 private:
  config::WeightingSection section_;
  at::Tensor ones_;
  at::Tensor epoch_losses_;  ///< (epoch, task): means of the last epoch and of the one before
};

}  // namespace

std::unique_ptr<TaskWeighting> make_dwa(const MethodOptions& options) {
  return std::make_unique<Dwa>(options);
}

}  // namespace xtasc::weighting
