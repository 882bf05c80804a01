#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/random.hpp"
#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class Rlw final : public TaskWeighting {
 public:
  explicit Rlw(const MethodOptions& options) : options_(options) {}

  StepWeights weigh(const at::Tensor& losses_t, const Moment& moment) override {
    RandomStream stream(options_.seed, Purpose::task_weights, 0, static_cast<std::uint64_t>(moment.step));
    std::vector<double> z(static_cast<std::size_t>(options_.num_tasks));
    std::ranges::generate(z, [&] { return stream.normal(); });
    // Filled, not copied: a copy from the host would wait for the device.
    const at::Tensor weights = at::empty({options_.num_tasks}, options_.tensors);
    double rest = 1.0;
    for (std::size_t t = 0; t + 1 < z.size(); ++t) {
      double sum = 1.0;
      for (std::size_t other = 0; other < z.size(); ++other) {
        sum += other == t ? 0.0 : std::exp(z[other] - z[t]);
      }
      weights[static_cast<std::int64_t>(t)].fill_(1.0 / sum);
      rest -= 1.0 / sum;
    }
    weights[options_.num_tasks - 1].fill_(rest);
    return {weights, (weights * losses_t).sum()};
  }

 private:
  MethodOptions options_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_rlw(const MethodOptions& options) {
  return std::make_unique<Rlw>(options);
}

}  // namespace xtasc::weighting
