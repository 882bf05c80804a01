#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace xtasc::analysis {

/// How often each image counts: row 0 counts each once, every further row is a bootstrap draw of N images with
/// replacement. Whatever is computed from weights * (sums by image) has its value in row 0 and its replicates below;
/// two figures of the same weights are paired, so that the noise that they share falls out of their difference.
///
/// \returns (1 + num_draws, num_images) float64 on the CPU; a pure function of its arguments
/// Source: Efron 1979, doi:10.1214/aos/1176344552.
[[nodiscard]] at::Tensor bootstrap_weights(std::int64_t num_images, std::int64_t num_draws, std::uint64_t seed);

/// A figure with its uncertainty over images. All but the value are NaN when fewer than two replicates are finite.
struct Estimate {
  double value;
  double error;      ///< standard deviation of the replicates
  double low, high;  ///< the middle 95 % of the replicates
};

/// \param replicates  (1 + num_draws) float64: the value, then its replicates; those that are not finite are left out
/// \param num_images  what was drawn from: a single image knows no uncertainty
[[nodiscard]] Estimate estimate(const at::Tensor& replicates, std::int64_t num_images);

/// What can be said of a claim when its figure has noise.
enum class Verdict {
  held,       ///< for the whole 95 % interval
  failed,     ///< the claim is false for the whole interval
  undecided,  ///< the interval holds both, or there is none
};

/// Of the claim `figure <= 0`.
[[nodiscard]] Verdict at_most_zero(const Estimate& figure);
/// Of the claim `|figure - ideal| <= tolerance`.
[[nodiscard]] Verdict near_ideal(const Estimate& figure, double ideal, double tolerance);

}  // namespace xtasc::analysis
