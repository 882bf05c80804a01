#include "launch/bench/scaling_model.hpp"

#include <cmath>

namespace xtasc::launch {

double ring_factor(double ranks) {
  return 2.0 * (ranks - 1.0) / ranks;
}

double num_hops(double ranks) {
  return std::log2(ranks);
}

double modelled_sums(const StepSums& sums, const Link& link, double ranks) {
  return ring_factor(ranks) * sums.gradient_bytes / link.bytes_per_second +
         sums.small_sums * num_hops(ranks) * link.hop_seconds;
}

}  // namespace xtasc::launch
