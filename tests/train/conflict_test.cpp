#include "train/conflict.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace xtasc::train {
namespace {

TEST(Conflict, IsOfEachPairOverTheStepsThatHaveBoth) {
  const task::Tasks tasks = {task::of_key("seg"), task::of_key("depth"), task::of_key("normals")};
  const at::Tensor first = at::tensor({4.0, -2.0, 0.0, -2.0, 9.0, 3.0, 0.0, 3.0, 1.0}, at::kDouble).view({3, 3});
  const at::Tensor second = at::tensor({1.0, 0.5, 0.0, 0.5, 1.0, 0.0, 0.0, 0.0, 0.0}, at::kDouble).view({3, 3});
  const at::Tensor sums = conflict_counts(first) + conflict_counts(second);
  ASSERT_EQ(static_cast<std::size_t>(sums.numel()), num_conflict_counts(3));
  const auto* values = sums.const_data_ptr<double>();
  const auto found = conflicts_of_epoch({values, values + sums.numel()}, tasks);
  EXPECT_NEAR(found.at("cosine").at("seg,depth"), 0.5 * (-2.0 / 6.0 + 0.5), 1e-15);
  EXPECT_NEAR(found.at("norm_ratio").at("seg,depth"), std::sqrt(2.0 / 3.0 * 1.0), 1e-15);
  EXPECT_EQ(found.at("in_conflict").at("seg,depth"), 0.5);
  EXPECT_EQ(found.at("cosine").at("seg,normals"), 0.0);  // of the first step alone
  EXPECT_NEAR(found.at("cosine").at("depth,normals"), 1.0, 1e-15);
  EXPECT_NEAR(found.at("norm_ratio").at("depth,normals"), 3.0, 1e-14);
  EXPECT_EQ(found.at("in_conflict").at("depth,normals"), 0.0);
  EXPECT_TRUE(conflicts_of_epoch({}, tasks).empty());
}

}  // namespace
}  // namespace xtasc::train
