#pragma once

namespace xtasc::launch {

/// What sums over the ranks cost.
struct Link {
  double bytes_per_second = 0.0;  ///< over each rank's link
  double hop_seconds = 0.0;       ///< of a message of a few numbers between two ranks
};

/// What a step sums over the ranks.
struct StepSums {
  double gradient_bytes = 0.0;
  double small_sums = 0.0;  ///< of a few numbers each: batch norm's statistics and the losses
};

/// Bytes that a ring moves over each rank's link for one byte summed.
[[nodiscard]] double ring_factor(double ranks);

/// Levels of a tree over the ranks.
[[nodiscard]] double num_hops(double ranks);

/// Seconds that summing adds to a step of `ranks` ranks: the gradient around a ring, and small sums along a tree.
[[nodiscard]] double modelled_sums(const StepSums& sums, const Link& link, double ranks);

}  // namespace xtasc::launch
