#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "analysis/consistency.hpp"

namespace xtasc::analysis {

/// One task's side of the paper's Proposition in a batch: Y, its direct prediction from X, and its prediction from
/// another task's direct prediction. C = 1 for depth; for segmentation Y is one-hot and the predictions are
/// probabilities, for normals all three are unit vectors: all squares below are squared Euclidean distances.
struct PropositionBatch {
  at::Tensor truth_nchw, direct_nchw, transferred_nchw;  ///< (N, C, H, W) float64
  at::Tensor counted_nhw;                                ///< (N, H, W) bool: where the truth is known
};

/// Y of a kind: depth in the pack's unit, one-hot labels and softmax probabilities, unit vectors; over the pixels whose
/// truth is known.
[[nodiscard]] PropositionBatch side_of(task::Kind kind, const TransferredBatch& batch);

/// How a target T goes with a prediction P of it; each figure (1 + draws), see bootstrap_weights. If P = E[T|g] for any
/// g, then the residual T - P has mean 0 and is uncorrelated with P: slope 1, residual 0, calibration 0. The converse
/// does not hold.
struct Regression {
  /// sum_c Cov(T_c, P_c) / sum_c Var(P_c): least squares, an intercept a class; NaN for a constant prediction
  at::Tensor slope;
  /// |E[T - P]| / sqrt(sum_c Var(T_c)), the norm over classes; NaN for a constant target
  at::Tensor residual;
  at::Tensor mean_residual_c;  ///< (C): E[T_c - P_c]
  at::Tensor intercept_c;      ///< (C): E[T_c] - slope E[P_c]
  /// Class-wise calibration error, NaN but for probabilities: mean over classes of sum_b |sum of T_c - P_c over pixels
  /// with P_c in bin b| / pixels, with ten equal bins of [0, 1]. Source: Kull et al. 2019, arXiv:1910.12656.
  at::Tensor calibration;
};

/// The mean squares that the Proposition compares, and what its conditions can be judged by; each (1 + draws).
struct PropositionFigures {
  std::int64_t num_images = 0;       ///< with a counted pixel
  double num_pixels = 0.0;           ///< counted
  at::Tensor transferred_to_direct;  ///< E|transferred - direct|^2
  at::Tensor direct_to_truth;        ///< E|Y - direct|^2, the paper's xi_Y
  at::Tensor transferred_to_truth;   ///< E|transferred - Y|^2
  /// transferred_to_direct / sum_c Var(direct_c): how much of the direct prediction the transferred one leaves open. It
  /// bounds E[Var(direct | other task's prediction)] / Var(direct) from above, whatever the transfer net.
  at::Tensor unexplained;
  /// transferred_to_truth / (transferred_to_direct + direct_to_truth): 1 if direct = E[Y|X], since then the residual is
  /// uncorrelated with every function of X, and the transferred prediction is one.
  at::Tensor pythagoras;
  Regression truth_on_direct, direct_on_transferred;
};

/// Both sides of the paper's Proposition (section III-B, Appendix A) on a trained net: sums by image, in float64.
///
///     0 = E[(XTC - direct)^2] <= E[(ALIGN - direct)^2] <= xi_Y = E[(Y - direct)^2]
///     direct = E[Y|X],  ALIGN = E[Y|g],  XTC = E[E[Y|X]|g],  g = E[Z|X]
///
/// What the proof assumes, step by step:
///  - "= 0, by the law of total expectation": it replaces E[direct|g] by direct, which needs direct to be a function of
///    g. In general the term is E[Var(direct|g)] >= 0.
///  - "first inequality": E[Y|g] - direct becomes E[Y - direct|g] by the same assumption; and that is 0, since g is a
///    function of X. By the tower property ALIGN = XTC always, so the first inequality is an equality: exact
///    conditional means give no reason to prefer one.
///  - "second inequality, by Jensen": (E[Y - direct|g])^2 <= E[(Y - direct)^2|g] is true, and 0 on the left; but it is
///    the term in question only by the assumption of the first step. In general E[Var(direct|g)] and xi_Y =
///    E[Var(Y|X)] do not bound each other: Y = f(X) without noise and a constant Z have xi_Y = 0 < Var(Y).
/// Trained nets are no exact conditional means, so their two terms differ; which way is a question to a measurement.
class Proposition {
 public:
  static constexpr std::int64_t kNumBins = 10;

  /// \param num_images  of the whole split. \param num_components  C: the channels of Y
  Proposition(std::int64_t num_images, task::Kind kind, std::int64_t num_components, at::Device device);

  /// \param first_image  index of the batch's first image in the split; each image may be added once
  void add(std::int64_t first_image, const PropositionBatch& batch);

  /// Adds up over ranks. \param sum  sums a float64 tensor in place. Collective.
  void sum_over_ranks(const std::function<void(const at::Tensor&)>& sum);

  /// Pooled over pixels, so independent of batches and ranks; nothing when no pixel was counted.
  [[nodiscard]] std::optional<PropositionFigures> figures(std::int64_t num_draws, std::uint64_t seed) const;

 private:
  bool has_probabilities_;
  std::int64_t num_components_;
  at::Tensor by_image_;  ///< (images, columns) float64
};

}  // namespace xtasc::analysis
