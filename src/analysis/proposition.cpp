#include "analysis/proposition.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <limits>

#include "analysis/bootstrap.hpp"
#include "core/error.hpp"

namespace xtasc::analysis {

namespace {

/// Columns of the sums by image: these seven, then C each of truth, direct and transferred, then C * bins each of
/// truth - direct by direct's bin and direct - transferred by transferred's (of probabilities alone).
enum Column : std::int64_t {
  kCount,
  kTransferredToDirect,
  kDirectToTruth,
  kTransferredToTruth,
  kTruthSquare,
  kDirectSquare,
  kTransferredSquare,
  kNumScalars
};

/// (N, C): sums over an image's pixels.
at::Tensor by_class(const at::Tensor& values_nchw) {
  return values_nchw.sum({2, 3});
}

/// (N, C * bins): sums of target - prediction over the pixels whose prediction is in each bin of [0, 1].
at::Tensor binned_residuals(const at::Tensor& target_nchw, const at::Tensor& prediction_nchw) {
  const at::Tensor residual = target_nchw - prediction_nchw;
  const at::Tensor bin =
      (prediction_nchw * Proposition::kNumBins).floor().clamp(0, static_cast<double>(Proposition::kNumBins - 1));
  std::vector<at::Tensor> sums;
  for (std::int64_t b = 0; b < Proposition::kNumBins; ++b) {
    sums.push_back(by_class(at::where(bin == static_cast<double>(b), residual, 0.0)));
  }
  return at::stack(sums, 2).flatten(1);
}

/// a / b, NaN where b is not positive.
at::Tensor ratio(const at::Tensor& a, const at::Tensor& b) {
  return at::where(b > 0.0, a / b, std::numeric_limits<double>::quiet_NaN());
}

/// E|V|^2 - |E V|^2, 0 where that is below float64's rounding of its terms.
at::Tensor variance(const at::Tensor& mean_square, const at::Tensor& mean_rc) {
  const at::Tensor value = mean_square - mean_rc.square().sum(1);
  return at::where(value > 1e-12 * mean_square, value, 0.0);
}

/// \param target_square, prediction_square, distance  (R): E|T|^2, E|P|^2, E|T - P|^2
/// \param target_rc, prediction_rc  (R, C): means. \param binned  (R, C * bins) means, or undefined
Regression regression(const at::Tensor& target_square, const at::Tensor& prediction_square, const at::Tensor& distance,
                      const at::Tensor& target_rc, const at::Tensor& prediction_rc, const at::Tensor& binned) {
  const at::Tensor product = (target_square + prediction_square - distance) / 2.0;
  const at::Tensor covariance = product - (target_rc * prediction_rc).sum(1);
  const at::Tensor offset = target_rc - prediction_rc;
  Regression result;
  result.slope = ratio(covariance, variance(prediction_square, prediction_rc));
  result.residual = ratio(offset.square().sum(1).sqrt(), variance(target_square, target_rc).sqrt());
  result.mean_residual_c = offset[0];
  result.intercept_c = target_rc[0] - result.slope[0] * prediction_rc[0];
  result.calibration = binned.defined() ? binned.abs().sum(1) / static_cast<double>(target_rc.size(1))
                                        : at::full_like(result.slope, std::numeric_limits<double>::quiet_NaN());
  return result;
}

}  // namespace

PropositionBatch side_of(task::Kind kind, const TransferredBatch& batch) {
  const at::Tensor direct = batch.direct.to(at::kDouble);
  const at::Tensor transferred = batch.transferred.to(at::kDouble);
  switch (kind) {
    case task::Kind::classes: {
      const at::Tensor counted = batch.truth < direct.size(1);
      const at::Tensor known = batch.truth.masked_fill(~counted, 0).unsqueeze(1);
      return {at::zeros_like(direct).scatter_(1, known, 1.0), at::softmax(direct, 1), at::softmax(transferred, 1),
              counted};
    }
    case task::Kind::depth:
      return {batch.truth.to(at::kDouble), direct, transferred, (batch.truth > 0).all(1)};
    case task::Kind::unit_vector: {
      const auto unit = [](const at::Tensor& vectors) {
        return vectors / at::linalg_vector_norm(vectors, 2, {1}, /*keepdim=*/true).clamp_min(task::kMinLength);
      };
      return {batch.truth.to(at::kDouble), unit(direct), unit(transferred), (batch.truth != 0).any(1)};
    }
  }
  fail("unknown kind of task {}", static_cast<int>(kind));
}

Proposition::Proposition(std::int64_t num_images, task::Kind kind, std::int64_t num_components, at::Device device)
    : has_probabilities_(kind == task::Kind::classes), num_components_(num_components) {
  const std::int64_t num_binned = has_probabilities_ ? 2 * num_components * kNumBins : 0;
  by_image_ = at::zeros({num_images, kNumScalars + 3 * num_components + num_binned},
                        at::TensorOptions().dtype(at::kDouble).device(device));
}

void Proposition::add(std::int64_t first_image, const PropositionBatch& batch) {
  const c10::NoGradGuard no_grad;
  const at::Tensor mask = batch.counted_nhw.unsqueeze(1);
  // Zeros where not counted, in all three alike: they add nothing to any sum, bins of residuals included.
  const at::Tensor truth = at::where(mask, batch.truth_nchw, 0.0);
  const at::Tensor direct = at::where(mask, batch.direct_nchw, 0.0);
  const at::Tensor transferred = at::where(mask, batch.transferred_nchw, 0.0);
  const auto square = [](const at::Tensor& values) { return values.square().sum({1, 2, 3}).unsqueeze(1); };
  std::vector<at::Tensor> columns = {mask.sum({1, 2, 3}).unsqueeze(1).to(at::kDouble),
                                     square(transferred - direct),
                                     square(truth - direct),
                                     square(transferred - truth),
                                     square(truth),
                                     square(direct),
                                     square(transferred),
                                     by_class(truth),
                                     by_class(direct),
                                     by_class(transferred)};
  if (has_probabilities_) {
    columns.push_back(binned_residuals(truth, direct));
    columns.push_back(binned_residuals(direct, transferred));
  }
  by_image_.narrow(0, first_image, truth.size(0)) += at::cat(columns, 1);
}

void Proposition::sum_over_ranks(const std::function<void(const at::Tensor&)>& sum) {
  sum(by_image_);
}

std::optional<PropositionFigures> Proposition::figures(std::int64_t num_draws, std::uint64_t seed) const {
  const at::Tensor all = by_image_.to(at::kCPU);
  // An image without a counted pixel tells nothing, and a draw of such images alone would have no mean.
  const at::Tensor sums = all.index_select(0, all.select(1, kCount).nonzero().flatten());
  if (sums.size(0) == 0) {
    return std::nullopt;
  }
  const at::Tensor pooled = at::matmul(bootstrap_weights(sums.size(0), num_draws, seed), sums);  // (R, columns)
  const at::Tensor means = pooled / pooled.narrow(1, kCount, 1);
  const std::int64_t c = num_components_;
  const auto mean = [&](Column column) { return means.select(1, column); };
  const auto class_means = [&](std::int64_t which) { return means.narrow(1, kNumScalars + which * c, c); };
  const auto binned = [&](std::int64_t which) {
    return has_probabilities_ ? means.narrow(1, kNumScalars + 3 * c + which * c * kNumBins, c * kNumBins)
                              : at::Tensor();
  };

  PropositionFigures result;
  result.num_images = sums.size(0);
  result.num_pixels = pooled[0][kCount].item<double>();
  result.transferred_to_direct = mean(kTransferredToDirect);
  result.direct_to_truth = mean(kDirectToTruth);
  result.transferred_to_truth = mean(kTransferredToTruth);
  result.unexplained = ratio(result.transferred_to_direct, variance(mean(kDirectSquare), class_means(1)));
  result.pythagoras = ratio(result.transferred_to_truth, result.transferred_to_direct + result.direct_to_truth);
  result.truth_on_direct = regression(mean(kTruthSquare), mean(kDirectSquare), result.direct_to_truth, class_means(0),
                                      class_means(1), binned(0));
  result.direct_on_transferred = regression(mean(kDirectSquare), mean(kTransferredSquare), result.transferred_to_direct,
                                            class_means(1), class_means(2), binned(1));
  return result;
}

}  // namespace xtasc::analysis
