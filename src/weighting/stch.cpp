#include <ATen/ATen.h>

#include <limits>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class Stch final : public TaskWeighting {
 public:
  explicit Stch(const MethodOptions& options)
      : section_(options.section), nadir_(at::zeros({options.num_tasks}, options.tensors.dtype(at::kDouble))) {}

  StepWeights weigh(const at::Tensor& losses_t, const Moment& moment) override {
    if (moment.epoch <= section_.warm_up_epochs) {
      return of_log_losses(losses_t);
    }
    const auto num_tasks = static_cast<double>(losses_t.size(0));
    const at::Tensor ratio = (losses_t / nadir_.to(losses_t.scalar_type())).log() / section_.mu;
    const at::Tensor none = at::full_like(ratio, -std::numeric_limits<double>::infinity());
    const at::Tensor counted = at::where((losses_t > 0.0).logical_and(nadir_ > 0.0), ratio, none);
    const at::Tensor shares = at::nan_to_num(at::softmax(counted, 0), 0.0);  // NaN: no task has a loss
    const at::Tensor total = at::nan_to_num(at::logsumexp(counted, 0), std::nullopt, std::nullopt, 0.0);
    return {if_any(losses_t, num_tasks * shares / losses_t), num_tasks * section_.mu * total};
  }

  void end_epoch(std::int64_t epoch, const at::Tensor& mean_losses_t) override {
    if (epoch == section_.warm_up_epochs) {
      nadir_.copy_(mean_losses_t);
    }
  }

  [[nodiscard]] NamedTensors weights() const override { return {{"weighting.nadir", nadir_}}; }

 private:
  config::WeightingSection section_;
  at::Tensor nadir_;  ///< (T) float64: mean losses of the epoch behind the warm-up; 0 before its end
};

}  // namespace

std::unique_ptr<TaskWeighting> make_stch(const MethodOptions& options) {
  return std::make_unique<Stch>(options);
}

}  // namespace xtasc::weighting
