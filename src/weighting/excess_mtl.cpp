#include <ATen/ATen.h>

#include "optim/gradient_math.hpp"
#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

constexpr double kExcessEpsilon = 1e-7;

class ExcessMtl final : public OfPlainLosses {
 public:
  explicit ExcessMtl(const MethodOptions& options)
      : OfPlainLosses(options),
        learning_rate_(options.section.learning_rate),
        squares_(at::zeros({options.num_tasks, options.num_values}, options.tensors)),
        first_excess_(at::zeros({options.num_tasks}, options.tensors.dtype(at::kDouble))),
        weights_(at::ones({options.num_tasks}, options.tensors.dtype(at::kDouble))) {}

  [[nodiscard]] Needs needs() const override { return Needs::vectors; }

  void see_gradients(const std::vector<GradientPiece>& pieces, const at::Tensor& /*losses_t*/,
                     const Moment& /*moment*/) override {
    std::vector<at::Tensor> excess;
    for (std::int64_t task = 0; task < weights_.size(0); ++task) {
      at::Tensor sum = at::zeros({}, weights_.options());
      for (const GradientPiece& piece : pieces) {
        const at::Tensor& gradient = piece.of_task[static_cast<std::size_t>(task)];
        const at::Tensor squares = squares_[task].narrow(0, piece.first, gradient.size(0));
        squares.addcmul_(gradient, gradient);
        sum = sum + optim::dot_64(gradient, gradient * (squares + kExcessEpsilon).rsqrt());
      }
      excess.push_back(sum);
    }
    const at::Tensor excess_t = at::stack(excess);
    first_excess_.copy_(at::where(first_excess_ > 0.0, first_excess_, excess_t));
    const at::Tensor relative = at::where(first_excess_ > 0.0, excess_t / first_excess_, at::zeros_like(excess_t));
    weights_.mul_((learning_rate_ * relative).exp());
    weights_.mul_(static_cast<double>(weights_.size(0)) / weights_.sum());
  }

  [[nodiscard]] at::Tensor combine(const at::Tensor& /*gram_tt*/, const at::Tensor& /*losses_t*/,
                                   const Moment& /*moment*/) override {
    return weights_.clone();
  }

  [[nodiscard]] NamedTensors state() const override {
    return {{"weighting.squared_gradients", squares_},
            {"weighting.first_excess", first_excess_},
            {"weighting.weights", weights_}};
  }

 private:
  double learning_rate_;
  at::Tensor squares_;       ///< (T, values of the net): sums over the steps, of what all tasks share, 0 elsewhere
  at::Tensor first_excess_;  ///< (T) float64: of the first step in which a task had a gradient
  at::Tensor weights_;       ///< (T) float64
};

}  // namespace

std::unique_ptr<TaskWeighting> make_excess_mtl(const MethodOptions& options) {
  return std::make_unique<ExcessMtl>(options);
}

}  // namespace xtasc::weighting
