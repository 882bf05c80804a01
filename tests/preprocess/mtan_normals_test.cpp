#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "pack/reader.hpp"
#include "pack/verify.hpp"
#include "preprocess/mtan_fixture.hpp"

namespace xtasc::preprocess {
namespace {

using pack::Split;
using test::error_of;
using test::write_bytes;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// MTAN's NYUv2 with normal/: (0.6, 0, -0.8) of length 1.005, every tenth pixel invalid.
class MtanNormals : public Mtan {
 protected:
  void SetUp() override {
    Mtan::SetUp();
    options.overwrite = true;
    write_nyuv2();
    for (std::size_t i = 0; i < 14; ++i) {
      write_normals(name_of(i), values());
    }
  }
  static std::string name_of(std::size_t i) {
    return fmt::format("{}/normal/{}.npy", i < 12 ? "train" : "val", i < 12 ? i : i - 12);
  }
  static std::vector<float> values() {
    std::vector<float> values(3 * kPixels, 0.0F);
    for (std::size_t p = 0; p < kPixels; ++p) {
      if (p % 10 != 0) {
        values[3 * p] = 0.603F;
        values[3 * p + 2] = -0.804F;
      }
    }
    return values;
  }
  void write_normals(const std::string& name, const std::vector<float>& values) const {
    write_bytes(raw / name, npy("<f4", false, "32, 64, 3", values));
  }
  [[nodiscard]] std::string build_error(const AxisSigns& signs = {1, 1, 1}) const {
    return error_of([&] { build_pack(MtanDataset(raw.path(), MtanKind::nyuv2, std::nullopt, signs), options); });
  }
};

TEST_F(MtanNormals, ArePackedWhereAskedFor) {
  const std::string without = build(MtanKind::nyuv2).content_digest;
  EXPECT_FALSE(pack::Reader(options.output).schema().has_normals());
  ASSERT_EQ(build_error({-1, 1, 1}), "no error");
  EXPECT_THAT(pack::verify(options.output).faults, IsEmpty());
  const pack::Reader reader(options.output);
  EXPECT_EQ(reader.schema().normals, "mtan");
  EXPECT_NE(reader.schema().content_digest, without);
  std::vector<std::int16_t> normals(3 * kPixels);
  reader.read_normals(Split::val, 1, 1, normals);
  normals.resize(6);
  EXPECT_THAT(normals, ElementsAre(0, 0, 0, -19660, 0, -26214)) << "of unit length, and x counts to the left";
}

TEST_F(MtanNormals, FaultsNameTheFile) {
  std::filesystem::remove(raw / name_of(3));
  write_bytes(raw / name_of(4), npy("<f4", false, "3, 32, 64", values()));
  write_bytes(raw / name_of(5), npy("|u1", false, "32, 64, 3", std::vector<std::uint8_t>(3 * kPixels)));
  write_bytes(raw / name_of(12), npy("<f4", false, "32, 32, 3", std::vector<float>(std::size_t{3} * 32 * 32)));
  std::string error = build_error();
  EXPECT_THAT(error, HasSubstr("the raw data has 4 faults"));
  EXPECT_THAT(error, HasSubstr("train/normal/3.npy' is missing, '"));
  EXPECT_THAT(error, HasSubstr("train/normal/4.npy': its shape is (3, 32, 64), (height, width, 3) is expected: its "
                               "channels come first"));
  EXPECT_THAT(error, HasSubstr("train/normal/5.npy': elements are of type '|u1', float32 or float64 are expected"));
  EXPECT_THAT(error, HasSubstr("val/normal/0.npy': 32 x 32 pixels (height x width), '" +
                               (raw / "val/image/0.npy").string() + "' has 32 x 64"));

  for (const std::size_t i : {3, 4, 5, 12}) {
    write_normals(name_of(i), values());
  }
  std::vector<float> bad = values();
  bad[3 * 65] = 0.55F;
  write_normals(name_of(7), bad);
  bad = values();
  bad[3 * 130 + 1] = std::numeric_limits<float>::quiet_NaN();
  write_normals(name_of(13), bad);
  error = build_error();
  EXPECT_THAT(error, HasSubstr("2 of 14 samples cannot be packed"));
  EXPECT_THAT(error, HasSubstr("of length 0.9741 at row 1, column 1; length 1, or 0 (invalid), is expected"));
  EXPECT_THAT(error, HasSubstr("val/normal/1.npy': normal (0, nan, 0) of length nan at row 2, column 2;"));
  options.skip_bad = true;
  const MtanDataset dataset(raw.path(), MtanKind::nyuv2, std::nullopt, AxisSigns{1, 1, 1});
  EXPECT_EQ(build_pack(dataset, options).num_skipped, 2U);
}

TEST_F(MtanNormals, NeedTheFolderInBothSplits) {
  std::filesystem::remove_all(raw / "val/normal");
  EXPECT_THAT(build_error(), HasSubstr("there is no folder '" + (raw / "val/normal").string()));
}

}  // namespace
}  // namespace xtasc::preprocess
