#include <ATen/ATen.h>

#include <cmath>

#include "optim/gradient_math.hpp"
#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class MoCo final : public OfPlainLosses {
 public:
  explicit MoCo(const MethodOptions& options)
      : OfPlainLosses(options),
        section_(options.section),
        tracked_(at::zeros({options.num_tasks, options.num_values}, options.tensors)),
        shares_(at::full({options.num_tasks}, 1.0 / static_cast<double>(options.num_tasks),
                         options.tensors.dtype(at::kDouble))) {}

  [[nodiscard]] Needs needs() const override { return Needs::vectors; }

  void see_gradients(const std::vector<GradientPiece>& pieces, const at::Tensor& losses_t,
                     const Moment& moment) override {
    const double step = section_.beta / root_of(moment);
    for (std::int64_t task = 0; task < shares_.size(0); ++task) {
      at::Tensor squared = at::zeros({}, shares_.options());
      for (const GradientPiece& piece : pieces) {
        const at::Tensor& gradient = piece.of_task[static_cast<std::size_t>(task)];
        squared = squared + optim::dot_64(gradient, gradient);
      }
      const at::Tensor factor =
          (losses_t[task].to(at::kDouble) / (squared.sqrt() + kEpsilon)).to(tracked_.scalar_type());
      for (const GradientPiece& piece : pieces) {
        const at::Tensor& gradient = piece.of_task[static_cast<std::size_t>(task)];
        const at::Tensor tracked = tracked_[task].narrow(0, piece.first, gradient.size(0));
        tracked.add_(gradient * factor - tracked, step);
        gradient.copy_(tracked);
      }
    }
  }

  [[nodiscard]] at::Tensor combine(const at::Tensor& gram_tt, const at::Tensor& /*losses_t*/,
                                   const Moment& moment) override {
    const double step = section_.learning_rate / root_of(moment);
    shares_.copy_(at::softmax(shares_ - step * at::mv(gram_tt, shares_), 0));
    return shares_.clone();
  }

  [[nodiscard]] NamedTensors state() const override {
    return {{"weighting.tracked_gradients", tracked_}, {"weighting.shares", shares_}};
  }

 private:
  static double root_of(const Moment& moment) { return std::sqrt(static_cast<double>(moment.step + 1)); }

  config::WeightingSection section_;
  at::Tensor tracked_;  ///< (T, values of the net): y_t of what all tasks share, 0 elsewhere
  at::Tensor shares_;   ///< (T) float64: lambda
};

}  // namespace

std::unique_ptr<TaskWeighting> make_moco(const MethodOptions& options) {
  return std::make_unique<MoCo>(options);
}

}  // namespace xtasc::weighting
