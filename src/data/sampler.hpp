#pragma once

#include <cstdint>
#include <vector>

namespace xtasc::data {

/// A training epoch's order: a permutation of 0 .. num_samples - 1, a function of (seed, epoch) alone.
[[nodiscard]] std::vector<std::int64_t> epoch_order(std::uint64_t seed, std::int64_t epoch, std::int64_t num_samples);

/// Which `count` of 0 .. num_samples - 1 are held out, in order: those of the smallest draws, each a function of (seed,
/// sample). The same on every rank.
[[nodiscard]] std::vector<std::int64_t> held_out(std::int64_t num_samples, std::int64_t count, std::uint64_t seed);

/// Steps an epoch has: every sample once, the last batch smaller when the batch does not divide.
[[nodiscard]] std::int64_t steps_per_epoch(std::int64_t num_samples, std::int64_t batch_size);

/// Positions begin to, not with, end.
struct Range {
  std::int64_t begin, end;
  [[nodiscard]] std::int64_t size() const { return end - begin; }
};

/// The positions in the epoch's order that make up global batch `step`.
[[nodiscard]] Range global_batch(std::int64_t step, std::int64_t batch_size, std::int64_t num_samples);

/// A range cut into `count` consecutive pieces whose sizes differ by at most one; none is empty, so that a small range
/// has fewer.
[[nodiscard]] std::vector<Range> pieces_of(const Range& whole, std::int64_t count);

/// One rank's part of a range: consecutive, sizes differing by at most one, possibly empty.
[[nodiscard]] Range share_of(const Range& whole, int rank, int num_ranks);

/// What augmentation does to a sample.
struct Augmentation {
  bool flip = false;                        ///< mirror left to right
  double scale = 1.0;                       ///< of {1.0, 1.2, 1.5}: the window is int(H / scale) x int(W / scale)
  std::int64_t window_y = 0, window_x = 0;  ///< its upper left corner
  std::int64_t window_height = 0, window_width = 0;
};

/// What may be drawn.
struct AugmentationOptions {
  bool flip = true;
  bool scale_crop = true;
};

/// The draw for a sample in an epoch: a function of (seed, epoch, sample) alone. \param sample  index in the pack's
/// split
[[nodiscard]] Augmentation draw_augmentation(const AugmentationOptions& options, std::uint64_t seed, std::int64_t epoch,
                                             std::int64_t sample, std::int64_t height, std::int64_t width);

}  // namespace xtasc::data
