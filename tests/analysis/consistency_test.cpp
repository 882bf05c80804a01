#include "analysis/consistency.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace xtasc::analysis {
namespace {

/// (N, C, H, W) and (N, 1, H, W) predictions with gaps in the truth.
ConsistencyBatch random_predictions(std::int64_t n, std::int64_t classes) {
  at::manual_seed(8);
  ConsistencyBatch batch{at::randn({n, classes, 4, 5}),
                         at::randn({n, classes, 4, 5}),
                         at::randn({n, 1, 4, 5}),
                         at::randn({n, 1, 4, 5}),
                         at::randint(0, classes, {n, 4, 5}, at::kLong),
                         at::rand({n, 1, 4, 5})};
  batch.labels_nhw.masked_fill_(at::rand({n, 4, 5}) < 0.3, 255);
  batch.target_n1hw.masked_fill_(at::rand({n, 1, 4, 5}) < 0.3, 0.0);
  return batch;
}

TEST(ConsistencyEnergy, EqualsAPlainLoop) {
  const std::int64_t classes = 3;
  const ConsistencyBatch batch = random_predictions(2, classes);
  double kl_labelled = 0.0;
  double kl_all = 0.0;
  double l1_valid = 0.0;
  double l1_all = 0.0;
  int labelled = 0;
  int valid = 0;
  for (int n = 0; n < 2; ++n) {
    for (int i = 0; i < 20; ++i) {
      const auto log_probability = [&](const at::Tensor& logits, std::int64_t c) {
        double partition = 0.0;
        for (std::int64_t k = 0; k < classes; ++k) {
          partition += std::exp(logits[n][k].flatten()[i].item<double>());
        }
        return logits[n][c].flatten()[i].item<double>() - std::log(partition);
      };
      double kl = 0.0;
      for (std::int64_t c = 0; c < classes; ++c) {
        const double direct = log_probability(batch.seg_nchw, c);
        kl += std::exp(direct) * (direct - log_probability(batch.depth_to_seg_nchw, c));
      }
      const double l1 = std::abs(batch.depth_n1hw[n].flatten()[i].item<double>() -
                                 batch.seg_to_depth_n1hw[n].flatten()[i].item<double>());
      const bool is_labelled = batch.labels_nhw[n].flatten()[i].item<std::int64_t>() != 255;
      const bool is_valid = batch.target_n1hw[n].flatten()[i].item<double>() > 0;
      kl_all += kl;
      l1_all += l1;
      kl_labelled += is_labelled ? kl : 0.0;
      l1_valid += is_valid ? l1 : 0.0;
      labelled += is_labelled ? 1 : 0;
      valid += is_valid ? 1 : 0;
    }
  }
  ConsistencyEnergy energy(at::kCPU);
  energy.add(batch);
  const metric::Values values = energy.report();
  ASSERT_EQ(values.size(), 3U);
  EXPECT_NEAR(values.at("seg"), kl_labelled / labelled, 1e-12);
  EXPECT_NEAR(values.at("depth"), l1_valid / valid, 1e-12);
  EXPECT_NEAR(values.at("energy_2021"), 0.5 * kl_all / (40.0 * classes) + 0.5 * l1_all / 40.0, 1e-12);
}

TEST(ConsistencyEnergy, DependsOnNeitherBatchesNorRanks) {
  const ConsistencyBatch whole = random_predictions(5, 3);
  ConsistencyEnergy all(at::kCPU);
  all.add(whole);
  ConsistencyEnergy first(at::kCPU);
  ConsistencyEnergy second(at::kCPU);
  for (const auto& [begin, size] : {std::pair{0, 2}, {2, 2}, {4, 1}}) {
    const auto part = [&](const at::Tensor& tensor) { return tensor.narrow(0, begin, size); };
    (begin == 2 ? second : first)
        .add({part(whole.seg_nchw), part(whole.depth_to_seg_nchw), part(whole.depth_n1hw),
              part(whole.seg_to_depth_n1hw), part(whole.labels_nhw), part(whole.target_n1hw)});
  }
  at::Tensor of_second;
  second.sum_over_ranks([&](const at::Tensor& tensor) { of_second = tensor; });
  first.sum_over_ranks([&](const at::Tensor& tensor) { tensor.add_(of_second); });
  const metric::Values expected = all.report();
  const metric::Values found = first.report();
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, value] : expected) {
    EXPECT_NEAR(found.at(name), value, 1e-12) << name;
  }
}

TEST(ConsistencyEnergy, WithoutTruthOnlyTheUnmaskedNumberIsThere) {
  ConsistencyBatch batch = random_predictions(2, 3);
  batch.labels_nhw.fill_(255);
  batch.target_n1hw.fill_(0.0);
  ConsistencyEnergy energy(at::kCPU);
  EXPECT_TRUE(energy.report().empty());
  energy.add(batch);
  const metric::Values values = energy.report();
  EXPECT_EQ(values.size(), 1U);
  EXPECT_TRUE(values.contains("energy_2021"));
}

TEST(ConsistencyEnergy, OfEqualPredictionsIsZero) {
  ConsistencyBatch batch = random_predictions(2, 3);
  batch.depth_to_seg_nchw = batch.seg_nchw + 1.0;  // the same distribution
  batch.seg_to_depth_n1hw = batch.depth_n1hw;
  ConsistencyEnergy energy(at::kCPU);
  energy.add(batch);
  for (const auto& [name, value] : energy.report()) {
    EXPECT_NEAR(value, 0.0, 1e-6) << name;
  }
}

}  // namespace
}  // namespace xtasc::analysis
