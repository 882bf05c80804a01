#include "analysis/consistency.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace xtasc::analysis {
namespace {

/// Of segmentation and depth, direct and from each other, and their truth.
struct Both {
  at::Tensor seg_nchw, depth_to_seg_nchw, depth_n1hw, seg_to_depth_n1hw, labels_nhw, target_n1hw;

  [[nodiscard]] std::vector<TransferredBatch> by_pair() const {
    return {{depth_n1hw, seg_to_depth_n1hw, target_n1hw}, {seg_nchw, depth_to_seg_nchw, labels_nhw}};
  }
};

ConsistencyEnergy energy_of_two() {
  const task::Task& seg = task::of_key("seg");
  const task::Task& depth = task::of_key("depth");
  return {{{seg, depth}, {depth, seg}}, at::kCPU};
}

/// (N, C, H, W) and (N, 1, H, W) predictions with gaps in the truth.
Both random_predictions(std::int64_t n, std::int64_t classes) {
  at::manual_seed(8);
  Both batch{at::randn({n, classes, 4, 5}),
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
  const Both batch = random_predictions(2, classes);
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
  ConsistencyEnergy energy = energy_of_two();
  energy.add(batch.by_pair());
  const metric::Values values = energy.report();
  ASSERT_EQ(values.size(), 3U);
  EXPECT_NEAR(values.at("seg"), kl_labelled / labelled, 1e-12);
  EXPECT_NEAR(values.at("depth"), l1_valid / valid, 1e-12);
  EXPECT_NEAR(values.at("energy_2021"), 0.5 * kl_all / (40.0 * classes) + 0.5 * l1_all / 40.0, 1e-12);
}

TEST(ConsistencyEnergy, DependsOnNeitherBatchesNorRanks) {
  const Both whole = random_predictions(5, 3);
  ConsistencyEnergy all = energy_of_two();
  all.add(whole.by_pair());
  ConsistencyEnergy first = energy_of_two();
  ConsistencyEnergy second = energy_of_two();
  for (const auto& [begin, size] : {std::pair{0, 2}, {2, 2}, {4, 1}}) {
    const auto part = [&](const at::Tensor& tensor) { return tensor.narrow(0, begin, size); };
    const Both some = {part(whole.seg_nchw),          part(whole.depth_to_seg_nchw), part(whole.depth_n1hw),
                       part(whole.seg_to_depth_n1hw), part(whole.labels_nhw),        part(whole.target_n1hw)};
    (begin == 2 ? second : first).add(some.by_pair());
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
  Both batch = random_predictions(2, 3);
  batch.labels_nhw.fill_(255);
  batch.target_n1hw.fill_(0.0);
  ConsistencyEnergy energy = energy_of_two();
  EXPECT_TRUE(energy.report().empty());
  energy.add(batch.by_pair());
  const metric::Values values = energy.report();
  EXPECT_EQ(values.size(), 1U);
  EXPECT_TRUE(values.contains("energy_2021"));
}

TEST(ConsistencyEnergy, OfEqualPredictionsIsZero) {
  Both batch = random_predictions(2, 3);
  batch.depth_to_seg_nchw = batch.seg_nchw + 1.0;  // the same distribution
  batch.seg_to_depth_n1hw = batch.depth_n1hw;
  ConsistencyEnergy energy = energy_of_two();
  energy.add(batch.by_pair());
  for (const auto& [name, value] : energy.report()) {
    EXPECT_NEAR(value, 0.0, 1e-6) << name;
  }
}

TEST(ConsistencyEnergy, GoesOverAllPairsOfThreeTasksByName) {
  const Both two = random_predictions(2, 3);
  const task::Task& normals = task::of_key("normals");
  ConsistencyEnergy energy(
      {{task::of_key("seg"), task::of_key("depth")}, {task::of_key("depth"), normals}, {normals, task::of_key("seg")}},
      at::kCPU);
  // Of two pixels in three the truth is known; there the transferred vector is 60 degrees off, elsewhere 90.
  const at::Tensor truth = at::zeros({2, 3, 4, 5});
  truth.select(1, 2).narrow(2, 0, 3).fill_(-1.0);
  const at::Tensor direct = at::zeros({2, 3, 4, 5});
  direct.select(1, 2).fill_(-2.0);
  const at::Tensor transferred = at::zeros({2, 3, 4, 5});
  transferred.select(1, 0).fill_(std::sqrt(3.0));
  transferred.select(1, 2).narrow(2, 0, 3).fill_(-1.0);
  energy.add({two.by_pair()[0], {direct, transferred, truth}, two.by_pair()[1]});
  const metric::Values values = energy.report();
  ASSERT_EQ(values.size(), 3U);  // no energy_2021: segmentation is not predicted from depth
  EXPECT_NEAR(values.at("depth_to_normals"), 60.0, 1e-5);
  ConsistencyEnergy of_two = energy_of_two();
  of_two.add(two.by_pair());
  EXPECT_EQ(values.at("seg_to_depth"), of_two.report().at("depth"));
  EXPECT_EQ(values.at("normals_to_seg"), of_two.report().at("seg"));
}

}  // namespace
}  // namespace xtasc::analysis
