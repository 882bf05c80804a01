#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>

#include "io/hdf5/hdf5.hpp"
#include "pack/pack_fixture.hpp"
#include "pack/reader.hpp"
#include "pack/verify.hpp"
#include "preprocess/datasets/folder.hpp"
#include "preprocess/datasets/nyuv2.hpp"
#include "preprocess/datasets/nyuv2_tables.hpp"
#include "preprocess/nyuv2_fixture.hpp"
#include "preprocess/pack_builder.hpp"

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

/// The official layout with four frames of 64 x 96 pixels.
class Nyuv2Test : public testing::Test {
 protected:
  static constexpr std::size_t kFrames = 4, kRows = 64, kColumns = 96;

  void write() const {
    const io::Hdf5Handle file = io::create_hdf5(raw / "nyu_depth_v2_labeled.mat", "the test's file");
    std::vector<std::uint8_t> images(kFrames * 3 * kColumns * kRows);
    std::vector<float> depths(kFrames * kColumns * kRows);
    std::vector<std::uint16_t> labels(kFrames * kColumns * kRows);
    for (std::size_t f = 0; f < kFrames; ++f) {
      for (std::size_t x = 0; x < kColumns; ++x) {
        for (std::size_t y = 0; y < kRows; ++y) {
          for (std::size_t c = 0; c < 3; ++c) {
            images[((f * 3 + c) * kColumns + x) * kRows + y] = static_cast<std::uint8_t>(f * 50 + x + 2 * y + 70 * c);
          }
          depths[(f * kColumns + x) * kRows + y] = 1.0F + static_cast<float>(f * 1000 + y * kColumns + x) / 4096.0F;
          labels[(f * kColumns + x) * kRows + y] = raw_label(f, x, y);
        }
      }
    }
    edit(depths, labels);
    const hsize_t image_columns = images_swapped ? kRows : kColumns, image_rows = images_swapped ? kColumns : kRows;
    const hsize_t columns = planes_swapped ? kRows : kColumns, rows = planes_swapped ? kColumns : kRows;
    write_frames(file.get(), "images", H5T_NATIVE_UINT8, {kFrames, 3, image_columns, image_rows}, chunk, images);
    write_frames(file.get(), "depths", H5T_NATIVE_FLOAT, {kFrames, columns, rows}, chunk, depths);
    write_frames(file.get(), "labels", H5T_NATIVE_UINT16, {kFrames, columns, rows}, chunk, labels);

    write_bytes(raw / "splits.mat", splits_file(train, val));
  }
  static std::uint16_t raw_label(std::size_t f, std::size_t x, std::size_t y) {
    return static_cast<std::uint16_t>((f * 300 + x * 7 + y * 3) % 895);
  }
  static int expected_class(std::size_t label) {
    return label == 0 ? pack::kIgnoreLabel : kNyuv2Class13[kNyuv2Class40[label - 1] - 1U] - 1;
  }
  [[nodiscard]] std::string error() const {
    fs::remove(raw / "nyu_depth_v2_labeled.mat");
    write();
    return error_of([&] { build_pack(Nyuv2Dataset(raw.path()), options); });
  }

  TempFolder raw, out;
  std::vector<hsize_t> chunk;                           ///< of all three variables
  bool images_swapped = false, planes_swapped = false;  ///< shapes as of a script that "put the axes right"
  std::vector<double> train = {4, 1}, val = {2, 3};
  std::function<void(std::vector<float>&, std::vector<std::uint16_t>&)> edit = [](auto&, auto&) {};
  BuildOptions options{.output = out / "a.h5", .resize = {{64, 96}}, .workers = 3, .overwrite = true};
};

TEST_F(Nyuv2Test, ReadsTheOfficialLayout) {
  ASSERT_EQ(error(), "no error");
  EXPECT_THAT(pack::verify(options.output).faults, IsEmpty());
  const pack::Reader reader(options.output);
  EXPECT_THAT(reader.names(Split::train), ElementsAre("nyu_depth_v2_labeled.mat:4", "nyu_depth_v2_labeled.mat:1"));
  EXPECT_EQ(reader.schema().num_classes(), 13);
  std::vector<std::uint8_t> image(kRows * kColumns * 3), label(kRows * kColumns);
  std::vector<float> depth(kRows * kColumns);
  reader.read_images(Split::val, 1, 1, image);  // frame 3, f = 2
  reader.read_labels(Split::val, 0, 1, 1, label);
  reader.read_depth(Split::val, 1, 1, std::span<float>(depth));
  for (std::size_t y = 0; y < kRows; ++y) {
    for (std::size_t x = 0; x < kColumns; ++x) {
      const std::size_t p = y * kColumns + x;
      ASSERT_EQ(image[3 * p + 1], static_cast<std::uint8_t>(100 + x + 2 * y + 70));
      ASSERT_EQ(label[p], expected_class(raw_label(2, x, y)));
      ASSERT_EQ(depth[p], 1.0F + static_cast<float>(2000 + p) / 4096.0F);
    }
  }
}

TEST_F(Nyuv2Test, ThePackIsTheSameForAnyChunksAndWorkers) {
  const auto digest = [&] {
    fs::remove(raw / "nyu_depth_v2_labeled.mat");
    write();
    return build_pack(Nyuv2Dataset(raw.path()), options).schema.content_digest;
  };
  const std::string expected = digest();
  for (const std::vector<hsize_t>& shape : std::vector<std::vector<hsize_t>>{
           {1, kColumns, kRows}, {1, 40, 30}, {2, kColumns, kRows}, {3, 40, 30}, {4, 1, 1}}) {
    chunk = shape;
    for (const int workers : {1, 4}) {
      options.workers = workers;
      EXPECT_EQ(digest(), expected) << io::shape_text(shape) << ", " << workers << " workers";
    }
  }
}

TEST_F(Nyuv2Test, SwappedAxesAreRefusedAndOtherSizesAreTold) {
  testing::internal::CaptureStderr();
  ASSERT_EQ(error(), "no error");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("the frames are 64 x 96 (height x width), NYU Depth v2's own are 480 x 640; the pack says so"));
  EXPECT_EQ(pack::Reader(options.output).schema().source,
            "NYU Depth v2, official .mat files, 13 classes (raw size 64x96)");
  images_swapped = true;
  EXPECT_THAT(error(),
              HasSubstr("'images' has shape 4 x 3 x 64 x 96, whose last two, width x height as MATLAB stores them, "
                        "should be 640 x 480: were the axes already put right?"));
  planes_swapped = true;
  EXPECT_THAT(error(), HasSubstr("'images' has shape 4 x 3 x 64 x 96"));
  images_swapped = false;
  EXPECT_THAT(error(), HasSubstr("'depths' has shape 4 x 64 x 96, whose last two"));
}

TEST_F(Nyuv2Test, OtherUnitsAreRefusedAndFramesThatNoListNamesAreTold) {
  const auto scaled = [this](float factor) {
    edit = [factor](auto& depths, auto&) {
      std::transform(depths.begin(), depths.end(), depths.begin(), [factor](float depth) { return depth * factor; });
    };
    return error();
  };
  EXPECT_THAT(scaled(1000.0F), HasSubstr("; NYUv2's sensor reaches 10 m: are these millimetres? metres are expected"));
  EXPECT_THAT(scaled(100.0F), HasSubstr("are these centimetres, millimetres or grey levels? metres are expected"));
  EXPECT_THAT(scaled(0.001F), HasSubstr("the depth of nyuv2 is implausible, nothing was written: no depth is above"));
  EXPECT_THAT(scaled(0.001F),
              HasSubstr("are these kilometres, or was depth normalised to 0 .. 1? metres are expected"));
  EXPECT_THAT(out.entries(), IsEmpty());
  EXPECT_EQ(scaled(0.0F), "no error") << "no depth at all is told, not refused";
  val = {2};
  testing::internal::CaptureStderr();
  EXPECT_EQ(scaled(1.0F), "no error");
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("1 of 4 frames are left out, '"));
}

TEST_F(Nyuv2Test, FaultsAreNamed) {
  options.resize.to = {32, 32};
  edit = [](auto&, auto& labels) { labels[(1 * kColumns + 95) * kRows + 63] = 895; };
  EXPECT_THAT(error(), HasSubstr("frame 2, row 63, column 95: label 895, 0 to 894 are known"));
  edit = [](auto& depths, auto&) { depths[(2 * kColumns + 1) * kRows] = std::nanf(""); };
  EXPECT_THAT(error(), HasSubstr("frame 3, row 0, column 1: depth nan"));
  edit = [](auto& depths, auto&) { depths[5] = -0.5F; };
  EXPECT_THAT(error(), HasSubstr("frame 1, row 5, column 0: depth -0.5"));
  edit = [](auto&, auto&) {};
  train = {1, 2};
  EXPECT_THAT(error(), HasSubstr("frame 2 of testNdxs is in trainNdxs already"));
  train = {1, 1};
  EXPECT_THAT(error(), HasSubstr("frame 1 of trainNdxs is in trainNdxs already"));
  train = {5};
  EXPECT_THAT(error(), HasSubstr("trainNdxs holds 5, whole numbers from 1 to 4 are expected"));
  train = {1.5};
  EXPECT_THAT(error(), HasSubstr("trainNdxs holds 1.5"));
  train = {};
  EXPECT_THAT(error(), HasSubstr("trainNdxs holds no numbers"));
  EXPECT_THAT(out.entries(), IsEmpty());
  train = {1};
  ASSERT_EQ(error(), "no error");
  const std::string splits = bytes_of(raw / "splits.mat");
  for (std::size_t size = 0; size + 16 < splits.size(); size += 9) {  // the last bytes are zlib's checksum
    write_bytes(raw / "splits.mat", splits.substr(0, size));
    EXPECT_THAT(error_of([&] { Nyuv2Dataset(raw.path()); }), HasSubstr("splits.mat")) << size;
  }
  fs::remove(raw / "splits.mat");
  EXPECT_THAT(
      error_of([&] { Nyuv2Dataset(raw.path()); }),
      HasSubstr("has 4 frames, NYU Depth v2 1449: the split of other frames is read from a splits.mat beside it"));
  fs::remove(raw / "nyu_depth_v2_labeled.mat");
  EXPECT_THAT(error_of([&] { Nyuv2Dataset(raw.path()); }), HasSubstr("nyu_depth_v2_labeled.mat' is missing"));
}

TEST(Nyuv2Tables, HoldThePublishedNumbers) {
  const TempFolder folder;
  const auto expect_sum = [&](const auto& numbers, const std::string& sha256) {
    write_bytes(folder / "numbers", fmt::format("{}\n", fmt::join(numbers, " ")));
    const std::string command = "echo '" + sha256 + "  " + (folder / "numbers").string() + "' | sha256sum -c --status";
    EXPECT_EQ(std::system(command.c_str()), 0) << sha256;
  };
  expect_sum(kNyuv2Class40, "242dbf0c50670832f2b3db789f6acd18892bd25707d8ab05f02119d1bf79efc0");
  expect_sum(kNyuv2Class13, "61cf5ad0923904519fdb2cac5006c1e6fb49cf95cafb5d0c5342eff2329d5f53");
  expect_sum(kNyuv2TestFrames, "87ae630d3eb8d6081a9bec8e6d807e919e19d4a5b5952887e03fe3624c058c3f");
  const std::vector<std::string> classes = nyuv2_label_set().class_names;
  for (const auto& [label, name] : {std::pair{4U, "ceiling"}, {5U, "chair"}, {11U, "floor"}, {21U, "wall"}}) {
    EXPECT_EQ(classes[kNyuv2Class13[kNyuv2Class40[label - 1] - 1U] - 1U], name) << label;
  }
}

/// 1449 frames of one pixel's width and height, and nothing beside the file.
TEST(Nyuv2Tables, TheOfficialFileAloneHasTheOfficialSplit) {
  const TempFolder raw;
  {
    const io::Hdf5Handle file = io::create_hdf5(raw / "nyu_depth_v2_labeled.mat", "the test's file");
    const std::vector<std::uint8_t> images(3 * kNyuv2Frames);
    const std::vector<float> depths(kNyuv2Frames);
    const std::vector<std::uint16_t> labels(kNyuv2Frames);
    write_frames(file.get(), "images", H5T_NATIVE_UINT8, {kNyuv2Frames, 3, 1, 1}, {}, images);
    write_frames(file.get(), "depths", H5T_NATIVE_FLOAT, {kNyuv2Frames, 1, 1}, {}, depths);
    write_frames(file.get(), "labels", H5T_NATIVE_UINT16, {kNyuv2Frames, 1, 1}, {}, labels);
  }
  const Nyuv2Dataset dataset(raw.path());
  EXPECT_EQ(dataset.names(Split::train).size(), 795U);
  EXPECT_EQ(dataset.names(Split::val).size(), 654U);
  EXPECT_EQ(dataset.names(Split::train).front(), "nyu_depth_v2_labeled.mat:3");
  EXPECT_EQ(dataset.names(Split::val).back(), "nyu_depth_v2_labeled.mat:1449");
}

TEST(RealNyuv2, MatFilesAndImagesHoldTheSameFrames) {
  const fs::path data = fs::path(XTASC_SOURCE_DIR) / ".." / "shared" / "data";
  const fs::path mat_root = data / "nyuv2_mat_sample", image_root = data / "nyuv2_images";
  if (!fs::exists(mat_root / "nyu_depth_v2_labeled.mat") || !fs::exists(image_root / "rgb" / "0001.jpg")) {
    GTEST_SKIP() << "no real NYUv2 data at ../shared/data";
  }
  std::map<std::size_t, std::size_t> official;  // frame of the sample -> index in the full set
  std::ifstream index(mat_root / "official_index.txt");
  for (std::size_t frame = 0, full = 0; index >> frame >> full;) {
    official[frame] = full;
  }
  const Nyuv2Dataset mat(mat_root);
  const FolderDataset images(image_root,
                             read_folder_description(XTASC_SOURCE_DIR "/configs/nyuv2_images.dataset.toml"));
  std::map<std::string, std::size_t> image_index;
  for (const Split split : {Split::train, Split::val}) {
    for (std::size_t i = 0; i < images.names(split).size(); ++i) {
      image_index[std::string(split_name(split)) + images.names(split)[i]] = i;
    }
  }
  std::size_t num_compared = 0;
  for (const Split split : {Split::train, Split::val}) {
    for (std::size_t i = 0; i < mat.names(split).size(); ++i) {
      const std::string& name = mat.names(split)[i];
      const std::size_t full = official.at(std::stoul(name.substr(name.find(':') + 1)));
      const std::string key = fmt::format("{}rgb/{:04}.jpg", split_name(split), full);
      ASSERT_TRUE(image_index.contains(key)) << key;  // also: the same split
      const RawSample a = mat.decode(split, i, {{480, 640}});
      const RawSample b = images.decode(split, image_index[key], {{480, 640}});
      ASSERT_EQ(a.height, 480);
      ASSERT_EQ(a.width, 640);
      const auto& depth_a = std::get<std::vector<float>>(a.depth);
      const auto& depth_b = std::get<std::vector<float>>(b.depth);
      double color_error = 0, depth_error = 0;
      std::size_t label_differences = 0, label_losses = 0;
      for (std::size_t p = 0; p < a.image.size(); ++p) {
        color_error += std::abs(int{a.image[p]} - int{b.image[p]});
      }
      for (std::size_t p = 0; p < depth_a.size(); ++p) {
        depth_error = std::max(depth_error, std::abs(double{depth_a[p]} - double{depth_b[p]}));
        if (a.labels[0][p] != b.labels[0][p]) {
          ++(b.labels[0][p] == pack::kIgnoreLabel ? label_losses : label_differences);
        }
      }
      EXPECT_LE(depth_error, 0.025) << key;
      EXPECT_LE(color_error / static_cast<double>(a.image.size()), 3.0) << key;
      EXPECT_EQ(label_differences, 0U) << key;
      if (split == Split::val) {  // in train frames "other property" is unlabelled in the image copy
        EXPECT_EQ(label_losses, 0U) << key;
      }
      ++num_compared;
    }
  }
  EXPECT_EQ(num_compared, 36U);
}

}  // namespace
}  // namespace xtasc::preprocess
