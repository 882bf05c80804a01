#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class DbMtl final : public TaskWeighting {
 public:
  explicit DbMtl(const MethodOptions& options)
      : beta_(options.section.beta),
        average_(at::zeros({beta_ > 0.0 ? options.num_tasks : 0, options.num_values}, options.tensors)),
        has_seen_(at::zeros({options.num_tasks}, options.tensors)) {}

  [[nodiscard]] Needs needs() const override { return Needs::vectors; }

  StepWeights weigh(const at::Tensor& losses_t, const Moment& /*moment*/) override {
    const at::Tensor losses = losses_t + kEpsilon;
    return {if_any(losses_t, losses.reciprocal()), if_any(losses_t, losses.log()).sum()};
  }

  void see_gradients(const std::vector<GradientPiece>& pieces, const at::Tensor& losses_t,
                     const Moment& /*moment*/) override {
    // A task that a batch has nothing of keeps its average; the first gradient that there is is the first average.
    const at::Tensor has_loss = losses_t > 0.0;
    const at::Tensor moved = at::where(has_seen_ > 0.0, 1.0 - beta_, at::ones_like(has_seen_)) * has_loss;
    for (const GradientPiece& piece : pieces) {
      for (std::int64_t task = 0; task < has_seen_.size(0) && beta_ > 0.0; ++task) {
        const at::Tensor& gradient = piece.of_task[static_cast<std::size_t>(task)];
        const at::Tensor average = average_[task].narrow(0, piece.first, gradient.size(0));
        average.add_((gradient - average).mul_(moved[task]));
        gradient.copy_(average);
      }
    }
    has_seen_.copy_(at::maximum(has_seen_, has_loss.to(has_seen_.scalar_type())));
  }

  [[nodiscard]] at::Tensor combine(const at::Tensor& gram_tt, const at::Tensor& /*losses_t*/,
                                   const Moment& /*moment*/) override {
    return db_mtl_factors(gram_tt);
  }

  [[nodiscard]] NamedTensors state() const override {
    return beta_ > 0.0 ? NamedTensors{{"weighting.moving_average", average_}, {"weighting.has_seen", has_seen_}}
                       : NamedTensors{};
  }

 private:
  double beta_;
  at::Tensor average_;   ///< (T, values of the net): of what all tasks share, 0 elsewhere
  at::Tensor has_seen_;  ///< (T): 1 where a gradient was there
};

}  // namespace

at::Tensor db_mtl_factors(const at::Tensor& gram_tt) {
  const at::Tensor norms = gram_tt.diagonal().clamp_min(0.0).sqrt();
  return at::where(norms > 0.0, norms.amax() / (norms + kEpsilon), at::zeros_like(norms));
}

std::unique_ptr<TaskWeighting> make_db_mtl(const MethodOptions& options) {
  return std::make_unique<DbMtl>(options);
}

}  // namespace xtasc::weighting
