#include <ATen/ATen.h>

#include <cmath>

#include "core/random.hpp"
#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class Rlw final : public TaskWeighting {
 public:
  Rlw(std::uint64_t seed, const at::TensorOptions& options) : seed_(seed), options_(options) {}

  StepWeights weigh(const at::Tensor& global_losses_2, const Moment& moment) override {
    RandomStream stream(seed_, Purpose::task_weights, 0, static_cast<std::uint64_t>(moment.step));
    const double z_seg = stream.normal();
    const double z_depth = stream.normal();
    const double seg = 1.0 / (1.0 + std::exp(z_depth - z_seg));
    // Filled, not copied: a copy from the host would wait for the device.
    const at::Tensor weights = at::empty({2}, options_);
    weights[kSegmentation].fill_(seg);
    weights[kDepth].fill_(1.0 - seg);
    return {weights, (weights * global_losses_2).sum()};
  }

 private:
  std::uint64_t seed_;
  at::TensorOptions options_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_rlw(std::uint64_t seed, const at::TensorOptions& options) {
  return std::make_unique<Rlw>(seed, options);
}

}  // namespace xtasc::weighting
