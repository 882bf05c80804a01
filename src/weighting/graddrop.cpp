#include <ATen/ATen.h>

#include <algorithm>

#include "core/random.hpp"
#include "kernels/dropout/dropout.hpp"
#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

constexpr std::int64_t kAtOnce = std::int64_t{1} << 20;  // what is made of them stays small

class GradDrop final : public OfPlainLosses {
 public:
  explicit GradDrop(const MethodOptions& options) : OfPlainLosses(options), seed_(options.seed) {}

  [[nodiscard]] Needs needs() const override { return Needs::vectors; }

  void see_gradients(const std::vector<GradientPiece>& pieces, const at::Tensor& /*losses_t*/,
                     const Moment& moment) override {
    RandomStream stream(seed_, Purpose::gradient_drop, 0, static_cast<std::uint64_t>(moment.step));
    const std::uint64_t key = stream.next();
    for (const GradientPiece& piece : pieces) {
      for (std::int64_t first = 0; first < piece.of_task.front().size(0); first += kAtOnce) {
        const std::int64_t size = std::min(kAtOnce, piece.of_task.front().size(0) - first);
        std::vector<at::Tensor> gradients;
        for (const at::Tensor& gradient : piece.of_task) {
          gradients.push_back(gradient.narrow(0, first, size));
        }
        drop_by_sign(gradients,
                     kernels::element_uniforms(piece.first + first, size, key, piece.of_task.front().device()));
      }
    }
  }

  [[nodiscard]] at::Tensor combine(const at::Tensor& gram_tt, const at::Tensor& /*losses_t*/,
                                   const Moment& /*moment*/) override {
    return at::ones({gram_tt.size(0)}, gram_tt.options());
  }

 private:
  std::uint64_t seed_;
};

}  // namespace

void drop_by_sign(const std::vector<at::Tensor>& gradients_t, const at::Tensor& uniforms) {
  at::Tensor sum = gradients_t.front().to(at::kDouble);
  at::Tensor magnitude = sum.abs();
  for (std::size_t task = 1; task < gradients_t.size(); ++task) {
    sum = sum + gradients_t[task];
    magnitude = magnitude + gradients_t[task].abs();
  }
  const at::Tensor keeps_positive = 0.5 * (1.0 + sum / (magnitude + kEpsilon)) > uniforms;
  for (const at::Tensor& gradient : gradients_t) {
    gradient.mul_(((gradient > 0.0) == keeps_positive).to(gradient.scalar_type()));
  }
}

std::unique_ptr<TaskWeighting> make_graddrop(const MethodOptions& options) {
  return std::make_unique<GradDrop>(options);
}

}  // namespace xtasc::weighting
