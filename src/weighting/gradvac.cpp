#include <ATen/ATen.h>

#include "weighting/methods.hpp"
#include "weighting/task_order.hpp"

namespace xtasc::weighting {

namespace {

constexpr double kSmallestSine = 1e-6;

class GradVac final : public OfPlainLosses {
 public:
  explicit GradVac(const MethodOptions& options)
      : OfPlainLosses(options),
        options_(options),
        targets_(at::zeros({options.num_tasks, options.num_tasks}, options.tensors.dtype(at::kDouble))) {}

  [[nodiscard]] Needs needs() const override { return Needs::gram; }

  [[nodiscard]] at::Tensor combine(const at::Tensor& gram_tt, const at::Tensor& /*losses_t*/,
                                   const Moment& moment) override {
    RandomStream stream(options_.seed, Purpose::task_order, 0, static_cast<std::uint64_t>(moment.step));
    return gradvac_factors(gram_tt, targets_, options_.section.beta, stream);
  }

  [[nodiscard]] NamedTensors state() const override { return {{"weighting.cosines", targets_}}; }

 private:
  MethodOptions options_;
  at::Tensor targets_;  ///< (T, T) float64: the cosine that the row's gradient is to have with the column's
};

}  // namespace

at::Tensor gradvac_factors(const at::Tensor& gram_tt, const at::Tensor& targets_tt, double beta, RandomStream& stream) {
  const std::int64_t num_tasks = gram_tt.size(0);
  const at::Tensor identity = at::eye(num_tasks, gram_tt.options());
  const at::Tensor norms = gram_tt.diagonal().clamp_min(0.0).sqrt();
  at::Tensor factors = at::zeros({num_tasks}, gram_tt.options());
  for (std::int64_t task = 0; task < num_tasks; ++task) {
    at::Tensor mixture = identity[task];  // of the gradients: what this one has become
    for (const std::int64_t other : order_of_others(task, num_tasks, stream)) {
      const at::Tensor target = targets_tt[task][other];
      const at::Tensor length = at::dot(mixture, at::mv(gram_tt, mixture)).clamp_min(0.0).sqrt();
      const at::Tensor has_both = (length > 0.0).logical_and(norms[other] > 0.0);
      const at::Tensor cosine =
          (at::dot(mixture, gram_tt[other]) / (length * norms[other]).clamp_min(kTiny)).clamp(-1.0, 1.0);
      const at::Tensor sine_of_target = (1.0 - target * target).clamp_min(0.0).sqrt().clamp_min(kSmallestSine);
      const at::Tensor pull = length * (target * (1.0 - cosine * cosine).sqrt() - cosine * sine_of_target) /
                              (norms[other].clamp_min(kTiny) * sine_of_target);
      const at::Tensor zero = at::zeros_like(pull);
      mixture = mixture + at::where(has_both.logical_and(cosine < target), pull, zero) * identity[other];
      target.add_(at::where(has_both, beta * (cosine - target), zero));
    }
    factors = factors + mixture;
  }
  return factors;
}

std::unique_ptr<TaskWeighting> make_gradvac(const MethodOptions& options) {
  return std::make_unique<GradVac>(options);
}

}  // namespace xtasc::weighting
