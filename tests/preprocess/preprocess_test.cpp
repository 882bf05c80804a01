#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <numeric>

#include "io/image/image.hpp"
#include "pack/pack_fixture.hpp"
#include "pack/reader.hpp"
#include "pack/verify.hpp"
#include "preprocess/datasets/folder.hpp"
#include "preprocess/datasets/scenes_dataset.hpp"
#include "preprocess/folder_fixture.hpp"
#include "preprocess/pack_builder.hpp"
#include "preprocess/resize.hpp"
#include "preprocess/scenes/scenes.hpp"

namespace xtasc::preprocess {
namespace {

namespace fs = std::filesystem;
using pack::Split;
using test::bytes_of;
using test::error_of;
using test::TempFolder;
using test::write_bytes;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Resize, NearestTakesThePixelUnderTheCentre) {
  for (const auto& [source, target] : {std::pair{480, 288}, {640, 384}, {1024, 128}, {5, 7}, {64, 64}, {3, 32}}) {
    for (int i = 0; i < target; ++i) {
      const double centre = (i + 0.5) * source / target;
      EXPECT_EQ(nearest_source(i, source, target), static_cast<int>(std::floor(centre + 1e-9)))
          << source << " " << target;
    }
  }
  EXPECT_EQ(nearest_source(0, 1024, 128), 4);  // OpenCV's INTER_NEAREST would take 0
}

TEST(Resize, KeepsChannelsTogether) {
  std::vector<std::uint8_t> in(4 * 6 * 3);
  std::iota(in.begin(), in.end(), std::uint8_t{0});
  const auto out = resize_nearest(std::span<const std::uint8_t>(in), {4, 6}, {2, 3}, 3);
  ASSERT_EQ(out.size(), 2U * 3 * 3);
  EXPECT_EQ(out[0], (1 * 6 + 1) * 3);
  EXPECT_EQ(out[5], (1 * 6 + 3) * 3 + 2);
  const auto area = resize_area(in, {4, 6}, {2, 3});
  EXPECT_EQ(area[0], (0 + 3 + 18 + 21 + 2) / 4);
}

TEST_F(FolderTest, PacksWhatTheFilesHold) {
  build();
  EXPECT_THAT(pack::verify(options.output).faults, IsEmpty());
  const pack::Reader reader(options.output);
  EXPECT_EQ(reader.schema().dataset, "tiny");
  EXPECT_EQ(reader.schema().resize, "nearest, pixel centres");
  EXPECT_THAT(reader.names(Split::val), ElementsAre("rgb/b/4.png", "rgb/b/5.png"));
  std::vector<std::uint8_t> image(32 * 64 * 3), label(32 * 64);
  std::vector<float> depth(32 * 64);
  reader.read_images(Split::val, 1, 1, image);
  reader.read_labels(Split::val, 0, 1, 1, label);
  reader.read_depth(Split::val, 1, 1, std::span<float>(depth));
  for (std::int64_t row = 0; row < 32; ++row) {
    for (std::int64_t column = 0; column < 64; ++column) {
      const auto p =
          static_cast<std::size_t>(nearest_source(row, kHeight, 32) * kWidth + nearest_source(column, kWidth, 64));
      const auto at = static_cast<std::size_t>(row * 64 + column);
      const auto raw_label = (p / 3 + 5) % 4;
      ASSERT_EQ(image[3 * at], static_cast<std::uint8_t>(p + 5));
      ASSERT_EQ(label[at], raw_label == 0 ? 255 : raw_label - 1);
      ASSERT_FLOAT_EQ(depth[at], p % 13 == 0 ? 0.0F : static_cast<float>(505 + p) / 1000.0F);
    }
  }
}

TEST_F(FolderTest, AnyNumberOfWorkersGivesTheSameBytes) {
  ::setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
  build();
  const std::string one = bytes_of(options.output);
  for (const int workers : {2, 3, 16}) {
    options.workers = workers;
    options.output = out / (std::to_string(workers) + ".h5");
    build();
    EXPECT_TRUE(bytes_of(options.output) == one) << workers;
  }
  options.resize.image_filter = ImageFilter::area;
  options.output = out / "area.h5";
  build();
  ::unsetenv("SOURCE_DATE_EPOCH");
  EXPECT_EQ(pack::Reader(options.output).schema().resize, "area");
  EXPECT_FALSE(bytes_of(options.output) == one);
}

TEST_F(FolderTest, ListsEveryFaultyFileBeforePacking) {
  const std::string good = bytes_of(raw / "label/a/0.png");
  fs::remove(raw / "rgb/a/0.png");
  write_bytes(raw / "rgb/a/1.png", "version https://git-lfs.github.com/spec/v1\n");
  io::write_png(raw / "label/a/2.png", std::vector<std::uint8_t>(100), 10, 10, 1);
  io::write_png(raw / "depth/a/3.png", std::vector<std::uint8_t>(kHeight * kWidth), kHeight, kWidth, 1);
  write_bytes(raw / "depth/b/4.png", "");
  io::write_png(raw / "label/b/5.png", std::vector<std::uint16_t>(kHeight * kWidth), kHeight, kWidth);
  const std::string error = error_of([&] { build(); });
  EXPECT_THAT(error, testing::StartsWith("the raw data has 6 faults, nothing was written"));
  EXPECT_THAT(error, HasSubstr("rgb/a/0.png': No such file"));
  EXPECT_THAT(error, HasSubstr("rgb/a/1.png': found a Git LFS pointer"));
  EXPECT_THAT(error, HasSubstr("label/a/2.png': 10 x 10 pixels (height x width), 48 x 80 are expected"));
  EXPECT_THAT(error, HasSubstr("depth/a/3.png': a PNG of 1 channel of 8 bits, a grey PNG of 16 bits is expected"));
  EXPECT_THAT(error, HasSubstr("depth/b/4.png': found an empty file"));
  EXPECT_THAT(error,
              HasSubstr("label/b/5.png': a PNG of 1 channel of 16 bits, a PNG of one channel of 8 bits or fewer is"));
  EXPECT_THAT(out.entries(), IsEmpty());
}

TEST_F(FolderTest, ListsEveryFileThatCannotBeDecoded) {
  options.workers = 3;
  std::string bytes = bytes_of(raw / "rgb/a/1.png");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
  write_bytes(raw / "rgb/a/1.png", bytes);
  bytes = bytes_of(raw / "depth/b/4.png");
  write_bytes(raw / "depth/b/4.png", bytes.substr(0, bytes.size() - 20));
  std::vector<std::uint8_t> label(kHeight * kWidth, 1);
  label[kWidth] = 7;  // in row 1, of which no pixel is kept: 0, 2, 3, 5, ... are
  ASSERT_EQ(nearest_source(0, kHeight, 32), 0);
  ASSERT_EQ(nearest_source(1, kHeight, 32), 2);
  io::write_png(raw / "label/a/2.png", label, kHeight, kWidth, 1);
  const std::string error = error_of([&] { build(); });
  EXPECT_THAT(error, testing::StartsWith("3 of 6 samples cannot be packed, nothing was written"));
  EXPECT_THAT(error, HasSubstr("rgb/a/1.png': damaged PNG, wrong CRC"));
  EXPECT_THAT(error, HasSubstr("label/a/2.png': label 7 at row 1, column 0; classes are 1 to 3, void is 0, 9"));
  EXPECT_THAT(error, HasSubstr("depth/b/4.png': truncated PNG"));
  EXPECT_THAT(out.entries(), IsEmpty());
}

TEST_F(FolderTest, SplitListsAreChecked) {
  write_bytes(raw / "val.txt", "b/4\r\na/1\nb/4\n../secret\n/etc/passwd\n");
  std::string error = error_of([&] { build(); });
  EXPECT_THAT(error, testing::StartsWith("the raw data has 4 faults"));
  EXPECT_THAT(error, HasSubstr("val.txt:2: 'a/1' is listed already (train.txt)"));
  EXPECT_THAT(error, HasSubstr("val.txt:3: 'b/4' is listed already"));
  EXPECT_THAT(error, HasSubstr("val.txt:4: '../secret' leads out of the root folder"));
  write_bytes(raw / "val.txt", "\n\n");
  EXPECT_THAT(error_of([&] { build(); }), HasSubstr("val.txt: the list is empty"));
  fs::remove(raw / "val.txt");
  EXPECT_THAT(error_of([&] { build(); }), HasSubstr("val.txt': No such file"));
}

TEST_F(FolderTest, OutputAndSizeAreChecked) {
  write_bytes(options.output, "precious");
  EXPECT_THAT(error_of([&] { build(); }), HasSubstr("a.h5' exists already"));
  EXPECT_EQ(bytes_of(options.output), "precious");
  options.overwrite = true;
  build();
  EXPECT_THAT(pack::verify(options.output).faults, IsEmpty());
  options.resize.to = {32, 65};
  EXPECT_THAT(error_of([&] { build(); }), HasSubstr("multiples of 32"));
  EXPECT_THAT(out.entries(), ElementsAre("a.h5"));
}

TEST_F(FolderTest, FullDiskAndKillLeaveNoPack) {
  {
    const test::FileSizeLimit limit(30'000);
    EXPECT_THAT(error_of([&] { build(); }), HasSubstr("a.h5': File too large"));
  }
  EXPECT_THAT(out.entries(), IsEmpty());
  test::run_and_die([&] {
    std::signal(SIGALRM, SIG_DFL);
    for (int i = 0; i < 100; ++i) {  // killed in the middle of one of them
      ::ualarm(3000, 0);
      options.overwrite = true;
      options.output = out / "b.h5";
      build();
    }
  });
  options.output = out / "b.h5";
  options.overwrite = true;
  build();
  EXPECT_THAT(out.entries(), ElementsAre("b.h5"));
  EXPECT_THAT(pack::verify(options.output).faults, IsEmpty());
}

/// Stores a file's pixels upside down and says so, as a camera that was held that way does.
TEST_F(FolderTest, DescriptionErrorsHaveLineAndColumn) {
  EXPECT_THAT(description_error(replaced("[image]", "orientation = \"turn\"\n[image]")),
              testing::StartsWith("3:15: 'orientation' must be \"apply\" (turn files"));
  EXPECT_EQ(description_error(replaced("offset = 1", "ofset = 1")),
            "8:9: unknown key 'ofset'; known keys of [label] are file, void, offset, class_names, class_colors, "
            "optional");
  EXPECT_EQ(description_error(replaced("bits = 16", "bits = 12")), "12:8: 'bits' must be 8 or 16");
  EXPECT_EQ(description_error(replaced("bits = 16", "bits = \"16\"")),
            "12:8: 'bits' must be a whole number from 8 to 16");
  EXPECT_EQ(description_error(replaced("bits = 16\n", "")), "10:1: 'bits' is missing in [depth]");
  EXPECT_EQ(description_error(replaced("divisor = 1000", "divisor = nan")), "14:11: 'divisor' must be a number");
  EXPECT_EQ(description_error(replaced("divisor = 1000", "divisor = -1.0")),
            "14:11: 'divisor' must be positive: depth = (value + offset) / divisor");
  EXPECT_EQ(description_error(replaced("\"metres\"", "\"feet\"")),
            "13:8: 'kind' must be \"metres\" or \"inverse_depth\"");
  EXPECT_EQ(description_error(replaced("rgb/{id}.png", "rgb/x.png")),
            "4:8: 'file' must hold {id} once, as in \"rgb/{id}.png\"");
  EXPECT_EQ(description_error(replaced("void = [0, 9]", "void = 0")), "7:8: 'void' must be a list: [...]");
  EXPECT_THAT(description_error(replaced("size = [32, 64]", "size = [32, 60]")), HasSubstr("2:8: size 32x60"));
  EXPECT_THAT(description_error(replaced("name = \"tiny\"\n", "")), HasSubstr("'name' is missing at the top"));
  EXPECT_THAT(description_error(replaced("[split]", "[split")), testing::StartsWith("16:"));
  EXPECT_THAT(description_error(std::string(kDescription) + "train = \"x\"\n"), testing::StartsWith("19:"));  // twice
  EXPECT_THAT(description_error("[\x01"), testing::StartsWith("1:"));
  EXPECT_THAT(description_error(std::string(2'000'000, 'x')), HasSubstr("2000000 bytes are too many"));
  const auto dotted = [](std::size_t parts) {
    std::string key = "a";
    for (std::size_t i = 1; i < parts; ++i) {
      key += ".a";
    }
    return key + " = 1";
  };
  EXPECT_THAT(description_error(dotted(30'000)), HasSubstr("1:1: a line of 60003 bytes, 4096 is the limit"));
  EXPECT_THAT(description_error(dotted(2'000)), HasSubstr("unknown key 'a'"));
  EXPECT_THAT(description_error("a = " + std::string(4'000, '[')), testing::StartsWith("1:"));
}

TEST(Descriptions, ReadyMadeOneIsRight) {
  const FolderDescription description = read_folder_description(XTASC_SOURCE_DIR "/configs/nyuv2_images.dataset.toml");
  EXPECT_EQ(description.label.class_names.size(), 13U);
  EXPECT_EQ(description.depth.offset, 0.5);
  EXPECT_EQ(description.depth.divisor, 25.5);
  EXPECT_EQ(description.size, (Size{288, 384}));
}

TEST(PackedScenes, TrainComesFirstAndValContinues) {
  const TempFolder out;
  const ScenesDataset scenes(3, 2, 7, {32, 64});
  build_pack(scenes, {.output = out / "s.h5", .resize = {{32, 64}}, .workers = 2});
  EXPECT_THAT(pack::verify(out / "s.h5").faults, IsEmpty());
  const pack::Reader reader(out / "s.h5");
  EXPECT_EQ(reader.schema().dataset, "scenes");
  EXPECT_EQ(reader.schema().resize, "none");
  EXPECT_EQ(reader.schema().label_sets[0].class_names, scene_class_names());
  EXPECT_THAT(reader.names(Split::val), ElementsAre("scene:7:3", "scene:7:4"));
  const Scene scene = render_scene(7, 4, 32, 64);
  std::vector<std::uint8_t> label(32 * 64);
  std::vector<float> depth(32 * 64);
  reader.read_labels(Split::val, 0, 1, 1, label);
  reader.read_depth(Split::val, 1, 1, std::span<float>(depth));
  EXPECT_EQ(label, scene.label);
  EXPECT_EQ(depth, scene.depth);
  EXPECT_THAT(error_of([&] {
                build_pack(ScenesDataset(3, 0, 7, {32, 64}), {.output = out / "t.h5", .resize = {{32, 64}}});
              }),
              HasSubstr("the val split of scenes has no samples"));
}

}  // namespace
}  // namespace xtasc::preprocess
