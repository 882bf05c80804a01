#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/error.hpp"
#include "core/random.hpp"
#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

std::vector<double> softmax(const std::vector<double>& z) {
  std::vector<double> shares;
  for (std::size_t t = 0; t < z.size(); ++t) {
    double sum = 1.0;
    for (std::size_t other = 0; other < z.size(); ++other) {
      sum += other == t ? 0.0 : std::exp(z[other] - z[t]);
    }
    shares.push_back(1.0 / sum);
  }
  return shares;
}

std::vector<double> over_sum(std::vector<double> z) {
  const double sum = std::accumulate(z.begin(), z.end(), 0.0);
  for (double& one : z) {
    one = sum > 0.0 ? one / sum : 1.0 / static_cast<double>(z.size());
  }
  return z;
}

class Rlw final : public TaskWeighting {
 public:
  explicit Rlw(const MethodOptions& options) : options_(options) {}

  StepWeights weigh(const at::Tensor& losses_t, const Moment& moment) override {
    RandomStream stream(options_.seed, Purpose::task_weights, 0, static_cast<std::uint64_t>(moment.step));
    const std::vector<double> shares = draw(stream);
    // Filled, not copied: a copy from the host would wait for the device.
    const at::Tensor weights = at::empty({options_.num_tasks}, options_.tensors);
    double rest = 1.0;
    for (std::size_t t = 0; t + 1 < shares.size(); ++t) {
      weights[static_cast<std::int64_t>(t)].fill_(shares[t]);
      rest -= shares[t];
    }
    weights[options_.num_tasks - 1].fill_(rest);
    return {weights, (weights * losses_t).sum()};
  }

 private:
  /// (T) of sum 1.
  std::vector<double> draw(RandomStream& stream) const {
    std::vector<double> z(static_cast<std::size_t>(options_.num_tasks));
    switch (options_.section.distribution) {
      case config::WeightDistribution::normal:
        std::ranges::generate(z, [&] { return stream.normal(); });
        return softmax(z);
      case config::WeightDistribution::dirichlet:  // Dirichlet(1): exponential numbers over their sum
        std::ranges::generate(z, [&] { return -std::log1p(-stream.uniform()); });
        return over_sum(z);
      case config::WeightDistribution::uniform:
        std::ranges::generate(z, [&] { return stream.uniform(); });
        return over_sum(z);
    }
    fail("unknown distribution {}", static_cast<int>(options_.section.distribution));
  }

  MethodOptions options_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_rlw(const MethodOptions& options) {
  return std::make_unique<Rlw>(options);
}

}  // namespace xtasc::weighting
