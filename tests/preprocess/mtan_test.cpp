#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "pack/pack_fixture.hpp"
#include "pack/reader.hpp"
#include "pack/verify.hpp"
#include "preprocess/mtan_fixture.hpp"

namespace xtasc::preprocess {
namespace {

namespace fs = std::filesystem;
using pack::Split;
using test::bytes_of;
using test::error_of;
using test::write_bytes;
using testing::Each;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST_F(Mtan, PacksNyuv2) {
  write_nyuv2();
  write_bytes(raw / "train/normal/0.npy", "never read");
  write_bytes(raw / "train/image/._0.npy", "left behind by macOS");
  testing::internal::CaptureStderr();
  build(MtanKind::nyuv2);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("normal/ is left out: --normals packs it"));
  EXPECT_THAT(log, Not(HasSubstr("between the 256 steps"))) << "k / 255 comes back exactly";
  EXPECT_THAT(pack::verify(options.output).faults, IsEmpty());
  const pack::Reader reader(options.output);
  EXPECT_EQ(reader.schema().dataset, "nyuv2");
  EXPECT_EQ(reader.schema().depth_kind, pack::DepthKind::metres);
  EXPECT_EQ(reader.schema().label_sets[0].class_names[12], "window");
  const auto names = reader.names(Split::train);
  ASSERT_EQ(names.size(), 12U);
  EXPECT_EQ(names[2], "train/image/2.npy") << "not 10: by number";
  EXPECT_EQ(names[11], "train/image/11.npy");
  EXPECT_THAT(reader.names(Split::val), ElementsAre("val/image/0.npy", "val/image/1.npy"));
  std::vector<std::uint8_t> image(3 * kPixels), label(kPixels);
  std::vector<float> depth(kPixels);
  reader.read_images(Split::train, 11, 1, image);
  reader.read_labels(Split::train, 0, 11, 1, label);
  reader.read_depth(Split::train, 11, 1, std::span<float>(depth));
  for (std::size_t i = 0; i < image.size(); ++i) {
    ASSERT_EQ(image[i], image_value(i, 11)) << i;
  }
  for (std::size_t i = 0; i < kPixels; ++i) {
    ASSERT_EQ(label[i], i % 5 == 4 ? pack::kIgnoreLabel : (i + 11) % 13) << i;
  }
  EXPECT_EQ(depth, depth_values<float>(11));
}

TEST_F(Mtan, ReadsEveryTypeAndOrderTheSame) {
  write_nyuv2();
  options.output = out / "float64.h5";
  const std::string digest = build(MtanKind::nyuv2).content_digest;
  for (std::size_t i = 0; i < 12; ++i) {
    const std::string file = fmt::format("/{}.npy", i);
    std::vector<std::uint8_t> bytes(3 * kPixels);
    std::vector<float> fortran(3 * kPixels);
    for (std::size_t p = 0; p < bytes.size(); ++p) {
      bytes[p] = image_value(p, i);
      const std::size_t channel = p % 3, column = p / 3 % 64, row = p / 192;
      fortran[row + 32 * (column + 64 * channel)] = static_cast<float>(bytes[p]) / 255.0F;
    }
    write_bytes(raw / ("train/image" + file),
                i % 2 == 0 ? npy("|u1", false, "32, 64, 3", bytes) : npy("<f4", true, "32, 64, 3", fortran));
    write_bytes(raw / ("train/label" + file),
                i % 3 == 0   ? npy("<i8", false, "32, 64", label_values<std::int64_t>(i, 13))
                : i % 3 == 1 ? npy("|u1", false, "32, 64", label_values<std::uint8_t>(i, 13))
                             : npy("<f4", false, "32, 64, 1", label_values<float>(i, 13)));
    write_bytes(raw / ("train/depth" + file), npy("<f8", false, "32, 64", depth_values<double>(i)));
  }
  options.output = out / "others.h5";
  testing::internal::CaptureStderr();
  EXPECT_EQ(build(MtanKind::nyuv2).content_digest, digest);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), Not(HasSubstr("between the 256 steps")));
}

TEST_F(Mtan, TellsWhenImagesHaveMoreThan8Bits) {
  write_nyuv2();
  auto values = image_values<double>(3);
  values[5] = 100.4 / 255;
  write_bytes(raw / "train/image/3.npy", npy("<f8", false, "32, 64, 3", values));
  testing::internal::CaptureStderr();
  build(MtanKind::nyuv2);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("image values lie between the 256 steps of a byte"));
  std::vector<std::uint8_t> image(3 * kPixels);
  pack::Reader(options.output).read_images(Split::train, 3, 1, image);
  EXPECT_EQ(image[5], 100);
}

TEST_F(Mtan, PacksBothLabelSetsOfCityscapes) {
  write_tree({{"label_2", 2}, {"label_7", 7}, {"label_19", 19}});
  testing::internal::CaptureStderr();
  build(MtanKind::cityscapes);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("label_2/ is left out"));
  const pack::Reader reader(options.output);
  EXPECT_EQ(reader.schema().depth_kind, pack::DepthKind::inverse_depth);
  EXPECT_EQ(reader.schema().depth_type, pack::DepthType::float32);
  ASSERT_EQ(reader.schema().label_sets.size(), 2U);
  EXPECT_EQ(reader.schema().label_sets[0].name, "label_7");
  EXPECT_EQ(reader.schema().label_sets[0].class_names[0], "flat");
  EXPECT_EQ(reader.schema().label_sets[1].name, "label_19");
  std::vector<std::uint8_t> label(kPixels);
  reader.read_labels(Split::val, 1, 1, 1, label);
  for (std::size_t i = 0; i < kPixels; ++i) {
    ASSERT_EQ(label[i], i % 5 == 4 ? pack::kIgnoreLabel : (i + 1) % 19) << i;
  }
  options.output = out / "19.h5";
  const pack::Schema only_19 = build(MtanKind::cityscapes, 19);
  ASSERT_EQ(only_19.label_sets.size(), 1U);
  EXPECT_EQ(only_19.label_sets[0].name, "label");
  EXPECT_EQ(only_19.num_classes(), 19);
}

TEST_F(Mtan, TakesTheOneLabelFolderThatIsThere) {
  write_tree({{"label", 7}}, "test");
  const pack::Schema schema = build(MtanKind::cityscapes);
  EXPECT_EQ(schema.num_classes(), 7);
  EXPECT_THAT(pack::Reader(options.output).names(Split::val), Each(testing::StartsWith("test/image/")));
  options.output = out / "as19.h5";
  EXPECT_EQ(build(MtanKind::cityscapes, 19).num_classes(), 19);
}

TEST_F(Mtan, NineteenClassesNeedToBeSaid) {
  write_tree({{"label", 19}});
  EXPECT_THAT(error(MtanKind::cityscapes),
              HasSubstr("'RAW/train/label/0.npy': label 7 at row 0, column 7; classes are 0 to 6, -1 and 255 are "
                        "ignored (--classes 19 takes 19 classes)"));
  EXPECT_EQ(build(MtanKind::cityscapes, 19).num_classes(), 19);
}

TEST_F(Mtan, RefusesClassesThatAreNotThere) {
  write_tree({{"label_19", 19}});
  EXPECT_EQ(error(MtanKind::cityscapes, 7), "--classes 7: 'RAW' has label_19/ and no label_7/");
  EXPECT_EQ(error(MtanKind::cityscapes, 13), "--classes 13: Cityscapes has 7 or 19 classes here");
  EXPECT_EQ(error(MtanKind::nyuv2, 7), "--classes 7: NYUv2 has 13 classes; --classes is for --dataset cityscapes");
  EXPECT_EQ(build(MtanKind::cityscapes).num_classes(), 19);
}

TEST_F(Mtan, WorkersMakeNoDifference) {
  write_nyuv2();
  ::setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
  for (const int workers : {1, 4}) {
    options.output = out / (std::to_string(workers) + ".h5");
    options.workers = workers;
    build(MtanKind::nyuv2);
  }
  ::unsetenv("SOURCE_DATE_EPOCH");
  EXPECT_EQ(bytes_of(out / "1.h5"), bytes_of(out / "4.h5"));
}

TEST_F(Mtan, NamesMissingFolders) {
  EXPECT_EQ(error_of([&] { MtanDataset(raw / "absent", MtanKind::nyuv2); }),
            "there is no folder '" + (raw / "absent").string() + "'");
  fs::create_directories(raw / "train/image");
  const std::string expected =
      "'RAW' does not hold MTAN's cityscapes ({train,val}/{image,label_7|label_19|label,depth}/0.npy, 1.npy, ...)\n"
      "there is no folder 'RAW/train/label'\nthere is no folder 'RAW/train/depth'\n"
      "there is no folder 'RAW/val/image'\nthere is no folder 'RAW/val/label'\nthere is no folder 'RAW/val/depth'";
  EXPECT_EQ(error(MtanKind::cityscapes), expected);
}

TEST_F(Mtan, FindsEveryFaultOfTheFilesFirst) {
  write_nyuv2();
  fs::remove(raw / "train/label/3.npy");
  fs::remove(raw / "val/image/1.npy");
  write_bytes(raw / "train/image/01.npy", bytes_of(raw / "train/image/1.npy"));
  write_bytes(raw / "train/depth/last.npy", "x");
  write_bytes(raw / "train/image/4.npy", "version https://git-lfs.github.com/spec/v1\noid sha256:1\n");
  const std::string whole = bytes_of(raw / "train/depth/5.npy");
  write_bytes(raw / "train/depth/5.npy", whole.substr(0, whole.size() - 4));
  write_bytes(raw / "train/label/6.npy", npy("<f8", false, "32, 32", std::vector<double>(1024)));
  write_bytes(raw / "train/image/7.npy", npy("<f8", false, "3, 32, 64", image_values<double>(7)));
  write_bytes(raw / "train/image/8.npy", npy("<i8", false, "32, 64, 3", std::vector<std::int64_t>(3 * kPixels)));
  write_bytes(raw / "train/label/9.npy", npy("|O", false, "32, 64", std::vector<double>(kPixels)));
  write_bytes(raw / "train/depth/10.npy", npy("<u2", false, "32, 64", std::vector<std::uint16_t>(kPixels)));
  write_bytes(raw / "train/depth/11.npy", "");
  write_bytes(raw / "val/label/0.npy", npy(">f4", false, "32, 64", std::vector<float>(kPixels)));
  fs::remove(raw / "train/image/0.npy");
  fs::create_symlink("nowhere", raw / "train/image/0.npy");
  EXPECT_EQ(
      error(),
      "the raw data has 14 faults, nothing was written\n"
      "cannot use 'RAW/train/depth/last.npy': a number is expected as its name, as in 0.npy\n"
      "cannot read 'RAW/train/image/0.npy': it is a link that leads nowhere (nowhere)\n"
      "cannot use 'RAW/train/image/1.npy': 'RAW/train/image/01.npy' has the same number\n"
      "'RAW/train/label/3.npy' is missing, 'RAW/train/image/3.npy' is there\n"
      "cannot read 'RAW/train/image/4.npy': found a Git LFS pointer instead of the file (run `git lfs pull`), a "
      ".npy file is expected\n"
      "cannot read 'RAW/train/depth/5.npy': its shape needs 8192 bytes of data, the file holds 8188\n"
      "cannot use 'RAW/train/label/6.npy': 32 x 32 pixels (height x width), 'RAW/train/image/6.npy' has 32 x 64\n"
      "cannot use 'RAW/train/image/7.npy': its shape is (3, 32, 64), (height, width, 3) is expected: its channels "
      "come first, move them to the end\n"
      "cannot use 'RAW/train/image/8.npy': elements are of type '<i8'; float32, float64 (0 to 1) or uint8 (0 to "
      "255) are expected\n"
      "cannot read 'RAW/train/label/9.npy': elements are of type '|O'; bool, integers, float32 and float64, "
      "little endian, are accepted\n"
      "cannot use 'RAW/train/depth/10.npy': elements are of type '<u2', float32 or float64 are expected\n"
      "cannot read 'RAW/train/depth/11.npy': found an empty file, a .npy file is expected\n"
      "cannot read 'RAW/val/label/0.npy': elements are of type '>f4'; bool, integers, float32 and float64, "
      "little endian, are accepted\n"
      "'RAW/val/image/1.npy' is missing, 'RAW/val/label/1.npy' is there");
}

TEST_F(Mtan, RefusesAnEmptySplitAndImagesOfTwoSizes) {
  write_nyuv2();
  for (const char* folder : {"image", "label", "depth"}) {
    fs::remove_all(raw / (std::string("val/") + folder));
    fs::create_directories(raw / (std::string("val/") + folder));
  }
  EXPECT_EQ(error(),
            "the raw data has 1 fault, nothing was written\n'RAW/val/image' is empty, 0.npy, 1.npy, ... are expected");
  write_sample("val", 0, {{"label", 13}});
  write_bytes(raw / "val/image/0.npy", npy("|u1", false, "32, 32, 3", std::vector<std::uint8_t>(3072)));
  write_bytes(raw / "val/label/0.npy", npy("|u1", false, "32, 32", std::vector<std::uint8_t>(1024)));
  write_bytes(raw / "val/depth/0.npy", npy("<f4", false, "32, 32", std::vector<float>(1024)));
  EXPECT_THAT(error(), EndsWith("'RAW/val/image/0.npy': 32 x 32 pixels (height x width), 'RAW/train/image/0.npy' has "
                                "32 x 64"));
}

TEST_F(Mtan, JunkIsPassedOverAndWhatMayBeDataIsNot) {
  write_nyuv2();
  const std::string digest = build(MtanKind::nyuv2).content_digest;
  write_bytes(raw / "train/image/Thumbs.db", "x");
  write_bytes(raw / "val/depth/notes.txt", "x");
  write_bytes(raw / "train/extra/0.npy", "x");
  options.output = out / "b.h5";
  testing::internal::CaptureStderr();
  EXPECT_EQ(build(MtanKind::nyuv2).content_digest, digest);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("passed over 2 entries that are no data of the set: train/image/Thumbs.db, "
                             "val/depth/notes.txt"));
  EXPECT_THAT(log, HasSubstr("extra/ is left out"));
  options.output = out / "a.h5";
  options.overwrite = true;
  write_bytes(raw / "train/image/20.NPY", "x");
  write_bytes(raw / "train/depth/21.npz", "x");
  fs::create_directories(raw / "train/image/22.npy");
  const std::string faults = error_of([&] { build(MtanKind::nyuv2); });
  EXPECT_THAT(faults, HasSubstr("train/image/20.NPY': a number is expected as its name, as in 0.npy"));
  EXPECT_THAT(faults, HasSubstr("train/depth/21.npz': a number is expected as its name, as in 0.npy"));
  EXPECT_THAT(faults, HasSubstr("train/image/22.npy': it is a folder, a .npy file is expected"));
}

TEST_F(Mtan, SwappedAxesAreRefusedAndOtherSizesAreTold) {
  write_nyuv2();
  testing::internal::CaptureStderr();
  const pack::Schema schema = build(MtanKind::nyuv2);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("the images are 32 x 64 (height x width), MTAN's own are 288 x 384; the pack says so"));
  EXPECT_THAT(schema.source, EndsWith(" (raw size 32x64)"));
  fs::remove(options.output);
  write_bytes(raw / "val/depth/1.npy", npy("<f4", false, "64, 32", depth_values<float>(1)));
  EXPECT_THAT(error(), EndsWith("has 32 x 64: height and width are swapped"));
  write_bytes(raw / "train/image/0.npy", npy("<f8", false, "64, 32, 3", image_values<double>(0)));
  EXPECT_EQ(error(),
            "cannot use 'RAW/train/image/0.npy': 64 x 32 pixels (height x width), higher than wide; those of nyuv2 "
            "are 288 x 384: were its axes swapped?");
}

TEST_F(Mtan, DepthInOtherUnitsIsRefused) {
  write_nyuv2();
  const auto with_depths = [&](float factor) {
    for (std::size_t i = 0; i < 14; ++i) {
      auto depth = depth_values<float>(i);
      std::transform(depth.begin(), depth.end(), depth.begin(), [factor](float d) { return d * factor; });
      write_bytes(raw / fmt::format("{}/depth/{}.npy", i < 12 ? "train" : "val", i < 12 ? i : i - 12),
                  npy("<f4", false, "32, 64", depth));
    }
  };
  with_depths(1000.0F);
  EXPECT_THAT(error(),
              HasSubstr("14 of 14 samples cannot be packed, nothing was written\ncannot use "
                        "'RAW/train/depth/0.npy': depth 500 at row 0, column 1; NYUv2's sensor reaches 10 m: are "
                        "these centimetres, millimetres or grey levels? metres are expected"));
  with_depths(0.1F);
  EXPECT_THAT(error(),
              HasSubstr("no depth is above 1, and NYUv2's sensor reaches 10 m: are these kilometres, or was depth "
                        "normalised to 0 .. 1?"));
  fs::remove_all(raw / "train");
  fs::remove_all(raw / "val");
  write_tree({{"label", 7}});
  write_bytes(raw / "val/depth/1.npy", npy("<f4", false, "32, 64", depth_values<float>(1)));
  EXPECT_THAT(error(MtanKind::cityscapes), HasSubstr("are these metres, or disparities? inverse depth is expected"));
}

TEST_F(Mtan, NamesThePixelThatIsWrong) {
  write_nyuv2();
  auto label = label_values<double>(0, 13);
  label[2 * 64 + 5] = 13;
  write_bytes(raw / "train/label/0.npy", npy("<f8", false, "32, 64", label));
  label[2 * 64 + 5] = 2.5;
  write_bytes(raw / "train/label/1.npy", npy("<f8", false, "32, 64", label));
  auto image = image_values<float>(2);
  image[3 * (64 + 7) + 1] = 141;
  write_bytes(raw / "train/image/2.npy", npy("<f4", false, "32, 64, 3", image));
  auto depth = depth_values<float>(3);
  depth[64] = std::nanf("");
  write_bytes(raw / "train/depth/3.npy", npy("<f4", false, "32, 64", depth));
  depth[64] = -1;
  write_bytes(raw / "train/depth/4.npy", npy("<f4", false, "32, 64", depth));
  depth[64] = std::numeric_limits<float>::infinity();
  write_bytes(raw / "val/depth/1.npy", npy("<f4", false, "32, 64", depth));
  EXPECT_EQ(
      error(),
      "6 of 14 samples cannot be packed, nothing was written\n"
      "cannot use 'RAW/train/label/0.npy': label 13 at row 2, column 5; classes are 0 to 12, -1 and 255 are "
      "ignored\n"
      "cannot use 'RAW/train/label/1.npy': label 2.5 at row 2, column 5; classes are 0 to 12, -1 and 255 are "
      "ignored\n"
      "cannot use 'RAW/train/image/2.npy': value 141 at row 1, column 7, channel 1; 0 to 1 is expected\n"
      "cannot use 'RAW/train/depth/3.npy': depth nan at row 1, column 0; metres from 0 (invalid) up are expected\n"
      "cannot use 'RAW/train/depth/4.npy': depth -1 at row 1, column 0; metres from 0 (invalid) up are expected\n"
      "cannot use 'RAW/val/depth/1.npy': depth inf at row 1, column 0; metres from 0 (invalid) up are expected");
}

TEST_F(Mtan, ReadsASubsetAndSaysSo) {
  write_nyuv2();
  for (const char* folder : {"image", "label", "depth"}) {
    fs::remove(raw / ("train/" + std::string(folder) + "/4.npy"));
  }
  testing::internal::CaptureStderr();
  build(MtanKind::nyuv2);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("train/: 11 samples, numbered up to 11: some numbers are not there"));
  EXPECT_EQ(pack::Reader(options.output).names(Split::train)[4], "train/image/5.npy");
}

TEST_F(Mtan, ResizesToWhatIsAsked) {
  write_nyuv2();
  options.resize.to = {64, 96};
  build(MtanKind::nyuv2);
  EXPECT_THAT(pack::verify(options.output).faults, IsEmpty());
}

}  // namespace
}  // namespace xtasc::preprocess
