#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class DbMtl final : public TaskWeighting {
 public:
  explicit DbMtl(const MethodOptions& options)
      : beta_(options.section.beta),
        average_(at::zeros({beta_ > 0.0 ? options.num_tasks : 0, options.num_values}, options.tensors)) {}

  [[nodiscard]] Needs needs() const override { return Needs::vectors; }

  StepWeights weigh(const at::Tensor& losses_t, const Moment& /*moment*/) override {
    const at::Tensor losses = losses_t + kEpsilon;
    return {losses.reciprocal(), losses.log().sum()};
  }

  void see_gradients(const std::vector<GradientPiece>& pieces, const at::Tensor& /*losses_t*/,
                     const Moment& moment) override {
    const double kept = moment.step == 0 ? 0.0 : beta_;
    for (const GradientPiece& piece : pieces) {
      for (std::size_t task = 0; task < piece.of_task.size() && beta_ > 0.0; ++task) {
        const at::Tensor& gradient = piece.of_task[task];
        const at::Tensor average = average_[static_cast<std::int64_t>(task)].narrow(0, piece.first, gradient.size(0));
        average.mul_(kept).add_(gradient, 1.0 - kept);
        gradient.copy_(average);
      }
    }
  }

  [[nodiscard]] at::Tensor combine(const at::Tensor& gram_tt, const at::Tensor& /*losses_t*/,
                                   const Moment& /*moment*/) override {
    return db_mtl_factors(gram_tt);
  }

  [[nodiscard]] NamedTensors state() const override {
    return beta_ > 0.0 ? NamedTensors{{"weighting.moving_average", average_}} : NamedTensors{};
  }

 private:
  double beta_;
  at::Tensor average_;  ///< (T, values of the net): of what all tasks share, 0 elsewhere
};

}  // namespace

at::Tensor db_mtl_factors(const at::Tensor& gram_tt) {
  const at::Tensor norms = gram_tt.diagonal().clamp_min(0.0).sqrt();
  return norms.amax() / (norms + kEpsilon);
}

std::unique_ptr<TaskWeighting> make_db_mtl(const MethodOptions& options) {
  return std::make_unique<DbMtl>(options);
}

}  // namespace xtasc::weighting
