#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "core/error.hpp"
#include "data/dataset.hpp"
#include "data/sampler.hpp"
#include "io/hdf5/hdf5.hpp"
#include "pack/writer.hpp"

namespace xtasc::data {
namespace {

namespace fs = std::filesystem;

TEST(Sampler, EveryEpochIsAPermutationOfItsOwn) {
  const auto first = epoch_order(1, 0, 101);
  EXPECT_EQ(std::set<std::int64_t>(first.begin(), first.end()).size(), 101U);
  EXPECT_EQ(first, epoch_order(1, 0, 101));
  EXPECT_NE(first, epoch_order(1, 1, 101));
  EXPECT_NE(first, epoch_order(2, 0, 101));
}

TEST(Sampler, RanksSplitEveryBatchWithoutGapOrOverlap) {
  for (const int ranks : {1, 2, 3, 8}) {
    std::vector<std::int64_t> seen;
    for (std::int64_t step = 0; step < steps_per_epoch(23, 5); ++step) {
      for (int rank = 0; rank < ranks; ++rank) {
        const Range mine = share_of(global_batch(step, 5, 23), rank, ranks);
        for (std::int64_t i = mine.begin; i < mine.end; ++i) {
          seen.push_back(i);
        }
      }
    }
    ASSERT_EQ(seen.size(), 23U);
    for (std::size_t i = 0; i < seen.size(); ++i) {
      EXPECT_EQ(seen[i], static_cast<std::int64_t>(i));
    }
  }
}

TEST(Augmentation, DrawsFollowTheSampleAlone) {
  const AugmentationOptions both;
  int flips = 0;
  std::array<int, 3> scales{};
  for (std::int64_t sample = 0; sample < 3000; ++sample) {
    const Augmentation a = draw_augmentation(both, 1, 4, sample, 64, 128);
    const Augmentation again = draw_augmentation(both, 1, 4, sample, 64, 128);
    EXPECT_EQ(std::tie(a.flip, a.scale, a.window_y, a.window_x),
              std::tie(again.flip, again.scale, again.window_y, again.window_x));
    EXPECT_LE(a.window_y + a.window_height, 64);
    EXPECT_LE(a.window_x + a.window_width, 128);
    EXPECT_EQ(a.window_height, static_cast<std::int64_t>(64 / a.scale));
    flips += a.flip ? 1 : 0;
    ++scales[a.scale < 1.1 ? 0 : a.scale < 1.3 ? 1 : 2];
  }
  EXPECT_NEAR(flips, 1500, 120);
  for (const int count : scales) {
    EXPECT_NEAR(count, 1000, 120);
  }
  const Augmentation none = draw_augmentation({.flip = false, .scale_crop = false}, 1, 4, 3, 64, 128);
  EXPECT_FALSE(none.flip);
  EXPECT_EQ(none.window_height, 64);
}

class DatasetTest : public testing::Test {
 protected:
  static constexpr std::int64_t kHeight = 32;
  static constexpr std::int64_t kWidth = 64;

  void SetUp() override {
    path_ = fs::path(testing::TempDir()) /
            ("data_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + ".h5");
    at::manual_seed(1);
    images_ = at::randint(0, 256, {5, kHeight, kWidth, 3}, at::kByte);
    labels_ = at::randint(0, 4, {5, kHeight, kWidth}, at::kByte);
    depths_ = at::rand({5, kHeight, kWidth}) * 9 + 0.5;
  }
  void TearDown() override { fs::remove(path_); }

  /// \param normals  what the pack says of its normals, which lean by the depth and lack where it is small; empty: none
  pack::Reader write(pack::DepthKind kind, const std::string& normals = "") {
    pack::Schema schema;
    schema.normals = normals;
    schema.dataset = "test";
    schema.height = kHeight;
    schema.width = kWidth;
    schema.label_sets = {{"label", {"a", "b", "c", "d"}, {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}, {10, 11, 12}}}};
    schema.depth_kind = kind;
    schema.resize = "none";
    schema.source = "a test";
    pack::Writer writer(path_, schema, true);
    for (std::int64_t n = 0; n < 5; ++n) {
      const auto bytes = [](const at::Tensor& t) {
        return std::span(t.const_data_ptr<std::uint8_t>(), static_cast<std::size_t>(t.numel()));
      };
      const at::Tensor depth = depths_[n].contiguous();
      const at::Tensor leaning = at::stack({depth - 5.0, (depth * 7.0).sin(), at::full_like(depth, -2.0)}, 2);
      const at::Tensor unit = leaning / at::linalg_vector_norm(leaning, 2, {2}, true);
      const at::Tensor normals_of_sample =
          (unit * pack::kNormalScale).round().masked_fill((depth < 1.5).unsqueeze(2), 0).to(at::kShort).contiguous();
      pack::Sample sample;
      sample.name = "sample " + std::to_string(n);
      sample.image = bytes(images_[n]);
      sample.labels = {bytes(labels_[n])};
      sample.depth = std::span(depth.const_data_ptr<float>(), static_cast<std::size_t>(depth.numel()));
      if (schema.has_normals()) {
        sample.normals = std::span(normals_of_sample.const_data_ptr<std::int16_t>(),
                                   static_cast<std::size_t>(normals_of_sample.numel()));
      }
      writer.append(n < 4 ? pack::Split::train : pack::Split::val, sample);
    }
    writer.finish();
    return pack::Reader(path_);
  }

  [[nodiscard]] at::Tensor normalised(const at::Tensor& image_n3hw) const {
    const at::Tensor mean = at::tensor({0.485, 0.456, 0.406}, at::kFloat).view({1, 3, 1, 1});
    const at::Tensor deviation = at::tensor({0.229, 0.224, 0.225}, at::kFloat).view({1, 3, 1, 1});
    return (image_n3hw / 255.0 - mean) / deviation;
  }

  fs::path path_;
  at::Tensor images_, labels_, depths_;
};

TEST_F(DatasetTest, PlainBatchIsTheStoredSamples) {
  const pack::Reader reader = write(pack::DepthKind::metres);
  const Dataset train(reader, pack::Split::train, 0, at::kCPU);
  EXPECT_EQ(train.size(), 4);
  const Batch batch = train.batch(std::array<std::int64_t, 2>{3, 1});
  const at::Tensor index = at::tensor({3, 1}, at::kLong);
  EXPECT_TRUE(at::allclose(
      batch.image_n3hw, normalised(images_.index_select(0, index).permute({0, 3, 1, 2}).to(at::kFloat)), 1e-5, 1e-5));
  EXPECT_TRUE(at::equal(batch.targets.at("seg"), labels_.index_select(0, index).to(at::kLong)));
  EXPECT_TRUE(at::equal(batch.targets.at("depth").squeeze(1), depths_.index_select(0, index)));
  EXPECT_TRUE(batch.image_n3hw.is_contiguous(at::MemoryFormat::ChannelsLast));
}

TEST_F(DatasetTest, ImagesCanStayBetweenZeroAndOne) {
  const pack::Reader reader = write(pack::DepthKind::metres);
  const Batch batch = Dataset(reader, pack::Split::train, {0, /*normalises=*/false}, at::kCPU).batch(std::array{2L});
  const at::Tensor expected = images_.narrow(0, 2, 1).permute({0, 3, 1, 2}).to(at::kFloat) / 255.0;
  EXPECT_TRUE(at::allclose(batch.image_n3hw, expected, 1e-6, 1e-7));
  EXPECT_LE(batch.image_n3hw.max().item<float>(), 1.0F);
}

/// The kernel against the tensor operations that it replaces.
TEST_F(DatasetTest, AugmentedBatchEqualsTensorOperations) {
  const pack::Reader reader = write(pack::DepthKind::metres);
  const Dataset train(reader, pack::Split::train, 0, at::kCPU);
  int num_cropped = 0;
  for (std::int64_t epoch = 0; epoch < 12; ++epoch) {
    const std::int64_t n = epoch % 4;
    const Augmentation a = draw_augmentation({}, 5, epoch, n, kHeight, kWidth);
    num_cropped += a.scale > 1.0 ? 1 : 0;
    const Batch batch = train.batch(std::array{n}, std::array{a});
    const auto window = [&](const at::Tensor& t, std::int64_t rows) {
      const at::Tensor cut = t.narrow(rows, a.window_y, a.window_height).narrow(rows + 1, a.window_x, a.window_width);
      return cut;
    };
    const auto flipped = [&](const at::Tensor& t) { return a.flip ? t.flip({-1}) : t; };
    const at::Tensor image = at::upsample_bilinear2d(
        window(images_[n].permute({2, 0, 1}).unsqueeze(0).to(at::kFloat), 2).contiguous(), {kHeight, kWidth}, true);
    const at::Tensor label = at::upsample_nearest2d(
        window(labels_[n].unsqueeze(0).unsqueeze(0).to(at::kFloat), 2).contiguous(), {kHeight, kWidth});
    const at::Tensor depth =
        at::upsample_nearest2d(window(depths_[n].unsqueeze(0).unsqueeze(0), 2).contiguous(), {kHeight, kWidth});
    EXPECT_LT((batch.image_n3hw - flipped(normalised(image))).abs().max().item<float>(), 2e-4F) << epoch;
    EXPECT_TRUE(at::equal(batch.targets.at("seg"), flipped(label).squeeze(1).to(at::kLong))) << epoch;
    EXPECT_TRUE(at::allclose(batch.targets.at("depth"), flipped(depth) / a.scale)) << epoch;
  }
  EXPECT_GT(num_cropped, 3);
}

TEST_F(DatasetTest, InverseDepthIsNotDividedByTheScale) {
  const pack::Reader reader = write(pack::DepthKind::inverse_depth);
  const Dataset train(reader, pack::Split::train, 0, at::kCPU);
  const Augmentation a{.scale = 2.0, .window_height = kHeight, .window_width = kWidth};
  EXPECT_TRUE(
      at::equal(train.batch(std::array<std::int64_t, 1>{0}, std::array{a}).targets.at("depth").squeeze(), depths_[0]));
}

/// Slanted normals: read from depths_, so that each pixel has its own, some none.
TEST_F(DatasetTest, NormalsAreMirroredAndKeepTheirDirection) {
  const pack::Reader reader = write(pack::DepthKind::metres, "a test");
  const Dataset train(reader, pack::Split::train, 0, at::kCPU);
  const at::Tensor stored = at::zeros({4, kHeight, kWidth, 3}, at::kShort);
  reader.read_normals(pack::Split::train, 0, 4,
                      {stored.mutable_data_ptr<std::int16_t>(), static_cast<std::size_t>(stored.numel())});
  const at::Tensor vectors = stored.to(at::kDouble);
  const at::Tensor unit = vectors / at::linalg_vector_norm(vectors, 2, {3}, true).clamp_min(1.0);
  EXPECT_GT((unit.select(3, 0).abs() > 0.1).sum().item<std::int64_t>(), 1000);
  EXPECT_GT((unit == 0).all(3).sum().item<std::int64_t>(), 100);
  for (const bool flip : {false, true}) {
    const Augmentation a{.flip = flip,
                         .scale = 2.0,
                         .window_y = 3,
                         .window_x = 5,
                         .window_height = kHeight / 2,
                         .window_width = kWidth / 2};
    const at::Tensor window = unit[2].narrow(0, 3, kHeight / 2).narrow(1, 5, kWidth / 2);
    at::Tensor expected = window.repeat_interleave(2, 0).repeat_interleave(2, 1).permute({2, 0, 1}).clone();
    if (flip) {
      expected = expected.flip({2}) * at::tensor({-1.0, 1.0, 1.0}, at::kDouble).view({3, 1, 1});
    }
    const Batch batch = train.batch(std::array<std::int64_t, 1>{2}, std::array{a});
    const at::Tensor found = batch.truth_of("normals");
    ASSERT_EQ(found.sizes(), at::IntArrayRef({1, 3, kHeight, kWidth}));
    EXPECT_LT((found[0].to(at::kDouble) - expected).abs().max().item<double>(), 1e-6) << flip;
  }
  EXPECT_TRUE(train.has_truth_of("normals"));
  EXPECT_FALSE(train.batch(std::array<std::int64_t, 1>{0}).targets.contains("normals.has"));
}

TEST_F(DatasetTest, LabelsThatAreNotKeptAreUnknown) {
  const pack::Reader reader = write(pack::DepthKind::metres, "a test");
  const std::array<std::int64_t, 4> all = {0, 1, 2, 3};
  const auto kept = [&](const KeptLabels& labels) {
    Dataset train(reader, pack::Split::train, 0, at::kCPU);
    train.keep_labels(labels);
    return train;
  };
  EXPECT_EQ(kept({}).batch(all).targets.size(), 3U);  // no flags
  int num_kept = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Dataset one = kept({.one_task = true, .seed = seed});
    const Dataset half = kept({.share = 0.5, .seed = seed});
    const Batch of_one = one.batch(all);
    const Batch of_half = half.batch(all);
    EXPECT_TRUE(at::equal(of_one.targets.at("seg.has"),
                          kept({.one_task = true, .seed = seed}).batch(all).targets.at("seg.has")));
    const at::Tensor sum =
        of_one.targets.at("seg.has") + of_one.targets.at("depth.has") + of_one.targets.at("normals.has");
    EXPECT_TRUE((sum == 1).all().item<bool>()) << seed;
    for (const Batch& batch : {of_one, of_half}) {
      const at::Tensor seg = (batch.targets.at("seg") != 255).flatten(1).any(1);
      const at::Tensor depth = (batch.targets.at("depth") != 0).flatten(1).any(1);
      const at::Tensor normals = (batch.targets.at("normals") != 0).flatten(1).any(1);
      EXPECT_TRUE(at::equal(seg, batch.targets.at("seg.has") != 0));
      EXPECT_TRUE(at::equal(depth, batch.targets.at("depth.has") != 0));
      EXPECT_TRUE(at::equal(normals, batch.targets.at("normals.has") != 0));
    }
    const std::int64_t count = of_half.targets.at("depth.has").sum().item<std::int64_t>();
    EXPECT_EQ(half.num_with_labels("depth"), count);
    EXPECT_EQ(half.has_truth_of("depth"), count > 0);
    num_kept += static_cast<int>(count);
  }
  EXPECT_NEAR(num_kept, 40, 15);  // half of 20 times 4
}

TEST(HeldOut, AreSoManySamplesByTheSeed) {
  const auto one = held_out(50, 5, 1);
  EXPECT_EQ(one.size(), 5U);
  EXPECT_TRUE(std::ranges::is_sorted(one));
  EXPECT_EQ(one, held_out(50, 5, 1));
  EXPECT_NE(one, held_out(50, 5, 2));
  const auto more = held_out(50, 6, 1);  // a larger share takes one more out, and puts none back
  EXPECT_TRUE(std::ranges::includes(more, one));
  EXPECT_TRUE(held_out(50, 0, 1).empty());
  std::set<std::int64_t> ever;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto samples = held_out(50, 5, seed);
    ever.insert(samples.begin(), samples.end());
  }
  EXPECT_GT(ever.size(), 45U);
}

TEST(Pieces, CutARangeOnceEachPlace) {
  for (const std::int64_t size : {1, 4, 5, 8}) {
    const auto pieces = pieces_of({10, 10 + size}, 3);
    EXPECT_EQ(pieces.size(), static_cast<std::size_t>(std::min<std::int64_t>(3, size)));
    std::int64_t next = 10;
    for (const Range& piece : pieces) {
      EXPECT_EQ(piece.begin, next);
      EXPECT_GE(piece.size(), 1);
      EXPECT_LE(piece.size(), size / 3 + 1);
      next = piece.end;
    }
    EXPECT_EQ(next, 10 + size);
  }
}

TEST_F(DatasetTest, SamplesThatAreTakenOutAreInOnePartAlone) {
  const pack::Reader reader = write(pack::DepthKind::metres);
  Dataset train(reader, pack::Split::train, 0, at::kCPU);
  const Batch whole = train.batch(std::array<std::int64_t, 4>{0, 1, 2, 3});
  const std::vector<std::int64_t> some = {0, 2};
  const Dataset held = train.take_out(some);
  EXPECT_THAT(held.samples(), testing::ElementsAre(0, 2));
  EXPECT_THAT(train.samples(), testing::ElementsAre(1, 3));
  EXPECT_EQ(train.size(), 2);
  for (std::int64_t epoch = 0; epoch < 5; ++epoch) {
    EXPECT_THAT(epoch_samples(train, 1, epoch), testing::UnorderedElementsAre(1, 3));
  }
  EXPECT_TRUE(at::equal(train.batch(train.samples()).image_n3hw, whole.image_n3hw.index_select(0, at::tensor({1, 3}))));
  EXPECT_TRUE(at::equal(held.batch(held.samples()).image_n3hw, whole.image_n3hw.index_select(0, at::tensor({0, 2}))));
  const std::vector<std::int64_t> gone = {2};
  EXPECT_THROW(static_cast<void>(train.take_out(gone)), Error);
  // Labels are kept by the sample, whichever part it is in; a part without labels has no truth.
  Dataset all(reader, pack::Split::train, 0, at::kCPU);
  const KeptLabels half = {.share = 0.5, .seed = 7};
  all.keep_labels(half);
  Dataset rest(reader, pack::Split::train, 0, at::kCPU);
  Dataset taken = rest.take_out(some);
  rest.keep_labels(half);
  taken.keep_labels(half);
  EXPECT_EQ(rest.num_with_labels("seg") + taken.num_with_labels("seg"), all.num_with_labels("seg"));
  EXPECT_EQ(taken.has_truth_of("depth"), taken.num_with_labels("depth") > 0);
}

TEST_F(DatasetTest, EditedNormalsAreFound) {
  {
    const pack::Reader reader = write(pack::DepthKind::metres, "a test");
    EXPECT_EQ(read_splits(reader, 0, at::kCPU).train.size(), 4);
    EXPECT_EQ(read_split(reader, pack::Split::val, 0, at::kCPU).size(), 1);
  }
  {
    const io::Hdf5Handle file(H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    const io::Hdf5Handle normals = io::open_dataset(file.get(), "train/normals", path_.string());
    const std::array<hsize_t, 4> start = {2, 1, 5, 2}, count = {1, 1, 1, 1};
    const std::int16_t away = pack::kNormalScale;
    io::check(io::write_block(normals.get(), H5T_NATIVE_INT16, start, count, &away), "cannot edit {}", path_.string());
  }
  const pack::Reader edited(path_);
  EXPECT_THROW(static_cast<void>(read_splits(edited, 0, at::kCPU)), Error);
  EXPECT_THROW(static_cast<void>(read_split(edited, pack::Split::val, 0, at::kCPU)), Error);
}

TEST_F(DatasetTest, EmptyBatchHasShapes) {
  const pack::Reader reader = write(pack::DepthKind::metres);
  const Batch batch = Dataset(reader, pack::Split::val, 0, at::kCPU).batch({});
  EXPECT_EQ(batch.image_n3hw.sizes(), at::IntArrayRef({0, 3, kHeight, kWidth}));
}

}  // namespace
}  // namespace xtasc::data
