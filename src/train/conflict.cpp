#include "train/conflict.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace xtasc::train {

namespace {

constexpr std::size_t kCounts = 4;

}  // namespace

at::Tensor conflict_counts(const at::Tensor& gram_tt) {
  std::vector<at::Tensor> counts;
  for (std::int64_t a = 0; a < gram_tt.size(0); ++a) {
    for (std::int64_t b = a + 1; b < gram_tt.size(0); ++b) {
      const at::Tensor squared_a = gram_tt[a][a];
      const at::Tensor squared_b = gram_tt[b][b];
      const at::Tensor has_both = (squared_a > 0.0).logical_and(squared_b > 0.0);
      const at::Tensor norms = squared_a.sqrt() * squared_b.sqrt();
      const at::Tensor one = at::stack({at::ones_like(norms), gram_tt[a][b] / norms,
                                        0.5 * (squared_a / squared_b).log(), (gram_tt[a][b] < 0.0).to(at::kDouble)});
      counts.push_back(at::where(has_both, one, at::zeros_like(one)));
    }
  }
  return at::cat(counts);
}

std::size_t num_conflict_counts(std::size_t num_tasks) {
  return num_tasks * (num_tasks - 1) / 2 * kCounts;
}

std::map<std::string, std::map<std::string, double>> conflicts_of_epoch(const std::vector<double>& sums,
                                                                        const task::Tasks& tasks) {
  std::map<std::string, std::map<std::string, double>> found;
  std::size_t pair = 0;
  for (std::size_t a = 0; a < tasks.size(); ++a) {
    for (std::size_t b = a + 1; b < tasks.size(); ++b, pair += kCounts) {
      if (pair + kCounts > sums.size() || sums[pair] == 0.0) {
        continue;
      }
      const std::string keys = fmt::format("{},{}", tasks[a].key, tasks[b].key);
      found["cosine"][keys] = sums[pair + 1] / sums[pair];
      found["norm_ratio"][keys] = std::exp(sums[pair + 2] / sums[pair]);
      found["in_conflict"][keys] = sums[pair + 3] / sums[pair];
    }
  }
  return found;
}

}  // namespace xtasc::train
