#pragma once

#include <cstdint>
#include <string_view>

namespace xtasc {

/// What a random draw is for. Each purpose has its own stream, so that a new kind of draw moves no other.
/// The values are part of every result: never renumber them.
enum class Purpose : std::uint64_t {
  initial_weights = 1,
  sample_order = 2,
  flip = 3,
  scale_crop = 4,
  scene = 5,
  synthetic_input = 6,
  task_weights = 7,
  bootstrap = 8,
  task_order = 9,
  dropout = 10,
  transfers = 11,
  labels = 12,
  holdout = 13,
  gradient_drop = 14,
  sweep_axes = 20,
};

/// A random stream that is a pure function of (seed, purpose, epoch, index), never of a rank, a thread or the order of
/// calls elsewhere: N ranks see the data that one would.
///
/// SplitMix64 seeded by mixing the four keys one after another.
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, Purpose purpose, std::uint64_t epoch, std::uint64_t index);

  /// Uniform over all 64-bit values.
  std::uint64_t next();
  /// Uniform over 0 .. bound - 1, without bias. \param bound > 0.
  std::uint64_t below(std::uint64_t bound);
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Uniform in [low, high).
  double uniform(double low, double high);
  /// Standard normal (Box-Muller, one of the pair).
  double normal();

 private:
  std::uint64_t state_;
};

/// A stable 64-bit hash of a text (FNV-1a), to key a stream by a name.
[[nodiscard]] std::uint64_t hash_name(std::string_view name);

}  // namespace xtasc
