#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>

#include "io/hdf5/hdf5.hpp"
#include "io/hdf5_fixture.hpp"
#include "pack/digest.hpp"
#include "pack/pack_fixture.hpp"
#include "pack/reader.hpp"
#include "pack/verify.hpp"
#include "pack/writer.hpp"

namespace xtasc::pack {
namespace {

using test::error_of;
using test::SmallSample;
using test::TempFolder;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::size_t kPixels = std::size_t{32} * 64;

/// Unit vectors that differ by sample and pixel, every seventh of them invalid.
std::vector<std::int16_t> small_normals(std::uint32_t number) {
  std::vector<std::int16_t> normals(3 * kPixels, 0);
  for (std::size_t i = 0; i < kPixels; ++i) {
    if (i % 7 != 0) {
      const double angle = 0.001 * static_cast<double>(i) + number;
      const std::array<double, 3> n = {0.6 * std::cos(angle), 0.6 * std::sin(angle), -0.8};
      for (std::size_t c = 0; c < 3; ++c) {
        normals[3 * i + c] = static_cast<std::int16_t>(std::lround(kNormalScale * n[c]));
      }
    }
  }
  return normals;
}

/// A sample that lacks the labels of `without`.
struct PartialSample : SmallSample {
  PartialSample(std::uint32_t number, std::vector<std::string> without_labels, bool has_normals)
      : SmallSample(number), normals(small_normals(number)), without(std::move(without_labels)) {
    const auto lacks = [&](const char* key) { return std::find(without.begin(), without.end(), key) != without.end(); };
    if (lacks("seg")) {
      std::fill(label.begin(), label.end(), kIgnoreLabel);
    }
    if (lacks("depth")) {
      std::fill(depth.begin(), depth.end(), 0.0F);
    }
    if (lacks("normals")) {
      std::fill(normals.begin(), normals.end(), std::int16_t{0});
    }
    if (!has_normals) {
      normals.clear();
    }
  }
  [[nodiscard]] Sample view() const {
    Sample sample = SmallSample::view();
    sample.normals = normals;
    sample.without = without;
    return sample;
  }

  std::vector<std::int16_t> normals;
  std::vector<std::string> without;
};

Schema schema_with_normals() {
  Schema schema = test::small_schema();
  schema.normals = "exact";
  return schema;
}

/// Four train samples that lack what `without` says, and one of val that has everything.
Schema write_pack(const std::filesystem::path& path, const Schema& schema,
                  const std::array<std::vector<std::string>, 4>& without) {
  Writer writer(path, schema, true);
  for (std::uint32_t i = 0; i < 4; ++i) {
    writer.append(Split::train, PartialSample(i, without[i], schema.has_normals()).view());
  }
  writer.append(Split::val, PartialSample(4, {}, schema.has_normals()).view());
  return writer.finish();
}

/// What writing and verifying say of a file that somebody edits.
std::vector<std::string> faults_after(const std::filesystem::path& path, const std::function<void(hid_t)>& edit) {
  {
    const io::Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    edit(file.get());
  }
  return verify(path).faults;
}

template <typename T>
void overwrite(hid_t file, const std::string& name, hid_t type, const std::vector<hsize_t>& start,
               const std::vector<T>& values) {
  const io::Hdf5Handle set = io::open_dataset(file, name, "the pack");
  std::vector<hsize_t> count(start.size(), 1);
  count.back() = values.size();
  io::check(io::write_block(set.get(), type, start, count, values.data()), "cannot edit {}", name);
}

std::int64_t version_of(const std::filesystem::path& path) {
  return io::read_int_attribute(io::open_hdf5(path).get(), "version", "the pack");
}

TEST(Normals, RoundTrip) {
  const TempFolder folder;
  const Schema written = write_pack(folder / "a.h5", schema_with_normals(), {});
  EXPECT_EQ(version_of(folder / "a.h5"), 3);
  const Reader reader(folder / "a.h5");
  EXPECT_EQ(reader.schema().normals, "exact");
  EXPECT_THAT(data_set_names(reader.schema()), ElementsAre("image", "label", "depth", "normals"));
  EXPECT_EQ(sample_bytes(reader.schema(), normals_data_set(reader.schema())), kPixels * 6);
  std::vector<std::int16_t> normals(6 * kPixels);
  reader.read_normals(Split::train, 1, 2, normals);
  std::vector<std::int16_t> expected = small_normals(1);
  const auto second = small_normals(2);
  expected.insert(expected.end(), second.begin(), second.end());
  EXPECT_EQ(normals, expected);
  EXPECT_THAT(reader.has_labels(Split::train, "normals"), IsEmpty());
  EXPECT_EQ(content_digest(reader), written.content_digest);
  const Report report = verify(folder / "a.h5");
  EXPECT_THAT(report.faults, IsEmpty());
  EXPECT_THAT(report.labelled_samples, IsEmpty());
  EXPECT_EQ(report.valid_normal_pixels, static_cast<std::int64_t>(5 * (kPixels - (kPixels + 6) / 7)));
}

TEST(Normals, EnterTheDigestWithTheirSource) {
  const TempFolder folder;
  Schema schema = schema_with_normals();
  const std::string exact = write_pack(folder / "a.h5", schema, {}).content_digest;
  schema.normals = "from depth";
  EXPECT_NE(write_pack(folder / "a.h5", schema, {}).content_digest, exact);
  schema.normals.clear();
  const std::string none = write_pack(folder / "a.h5", schema, {}).content_digest;
  EXPECT_EQ(version_of(folder / "a.h5"), 2);
  EXPECT_NE(none, exact);
  const Reader reader(folder / "a.h5");
  EXPECT_FALSE(reader.schema().has_normals());
  std::vector<std::int16_t> out(3 * kPixels);
  EXPECT_THAT(error_of([&] { reader.read_normals(Split::val, 0, 1, out); }), HasSubstr("a.h5: it has no normals"));
  EXPECT_THAT(error_of([&] { static_cast<void>(reader.has_labels(Split::val, "normals")); }),
              HasSubstr("labels of task \"normals\" are asked for, it has those of seg, depth"));
}

TEST(Normals, OfAnotherLengthAreFoundAndSoIsAChangedOne) {
  const TempFolder folder;
  const auto path = folder / "a.h5";
  write_pack(path, schema_with_normals(), {});
  EXPECT_THAT(faults_after(
                  path,
                  [](hid_t file) {
                    overwrite<std::int16_t>(file, "train/normals", H5T_NATIVE_INT16, {2, 3, 5, 0}, {0, 0, -32767 + 40});
                  }),
              ElementsAre("/train/normals: sample 2 (raw/2.png): normal (0, 0, -32727) / 32767 of length 0.9988 at row "
                          "3, column 5; 1 or 0 (invalid) is possible",
                          HasSubstr("something was changed after packing")));
  write_pack(path, schema_with_normals(), {});
  EXPECT_THAT(
      faults_after(path,
                   [](hid_t file) {
                     overwrite<std::int16_t>(file, "train/normals", H5T_NATIVE_INT16, {2, 3, 5, 0}, {0, 0, -32767});
                   }),
      ElementsAre(HasSubstr("something was changed after packing")));
  PartialSample bad(9, {}, true);
  bad.normals[4] = 0;
  Writer writer(folder / "b.h5", schema_with_normals(), false);
  EXPECT_THAT(error_of([&] { writer.append(Split::train, bad.view()); }),
              HasSubstr("cannot pack train sample 'raw/9.png': normal ("));
  bad.normals.clear();
  EXPECT_THAT(error_of([&] { writer.append(Split::train, bad.view()); }),
              HasSubstr("the normals have 0 values, 6144 are expected"));
}

TEST(Normals, ADataSetThatIsNotWhatTheAttributeSaysIsRefused) {
  const TempFolder folder;
  const auto path = folder / "a.h5";
  write_pack(path, schema_with_normals(), {});
  EXPECT_THAT(error_of([&] {
                static_cast<void>(faults_after(path, [](hid_t file) { H5Ldelete(file, "val/normals", H5P_DEFAULT); }));
              }),
              HasSubstr("/val: data set 'normals' is missing"));
  write_pack(path, schema_with_normals(), {});
  EXPECT_THAT(error_of([&] {
                static_cast<void>(faults_after(path, [](hid_t file) {
                  H5Ldelete(file, "val/normals", H5P_DEFAULT);
                  H5Lcreate_hard(file, "val/label", file, "val/normals", H5P_DEFAULT, H5P_DEFAULT);
                }));
              }),
              HasSubstr("/val/normals: its elements are uint8, int16 is expected"));
}

TEST(PartialLabels, EachSplitAndTaskHasItsOwnFlags) {
  const TempFolder folder;
  const auto path = folder / "a.h5";
  const Schema written = write_pack(path, schema_with_normals(), {{{}, {"seg", "normals"}, {"seg"}, {}}});
  EXPECT_EQ(version_of(path), 3);
  const Reader reader(path);
  EXPECT_THAT(reader.has_labels(Split::train, "seg"), ElementsAre(1, 0, 0, 1));
  EXPECT_THAT(reader.has_labels(Split::train, "normals"), ElementsAre(1, 0, 1, 1));
  EXPECT_THAT(reader.has_labels(Split::train, "depth"), IsEmpty());
  EXPECT_THAT(reader.has_labels(Split::val, "seg"), IsEmpty());
  EXPECT_EQ(content_digest(reader), written.content_digest);
  const Report report = verify(path);
  EXPECT_THAT(report.faults, IsEmpty());
  EXPECT_THAT(report.labelled_samples, ElementsAre(std::pair("normals", 4), std::pair("seg", 3)));

  const Schema plain = write_pack(path, test::small_schema(), {{{"depth"}, {"depth"}, {"depth"}, {"depth"}}});
  EXPECT_EQ(version_of(path), 3);
  EXPECT_EQ(content_digest(path), plain.content_digest);
  EXPECT_THAT(Reader(path).has_labels(Split::train, "depth"), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(verify(path).notes, ElementsAre("the train split has no pixel with a valid depth"));
}

TEST(PartialLabels, AChangedFlagIsFound) {
  const TempFolder folder;
  const auto path = folder / "a.h5";
  const auto edited = [&](hsize_t sample, std::uint8_t flag) {
    write_pack(path, test::small_schema(), {{{}, {"seg"}, {}, {}}});
    return faults_after(
        path, [&](hid_t file) { overwrite<std::uint8_t>(file, "train/has_seg", H5T_NATIVE_UINT8, {sample}, {flag}); });
  };
  EXPECT_THAT(edited(1, 0), IsEmpty());
  EXPECT_THAT(edited(1, 1), ElementsAre(HasSubstr("something was changed after packing")));
  EXPECT_THAT(edited(2, 0),
              ElementsAre("/train/label: sample 2 (raw/2.png): has_seg says that it has no labels, it has some",
                          HasSubstr("something was changed after packing")));
  EXPECT_THAT(edited(3, 2), ElementsAre(HasSubstr("a.h5:/train/has_seg: sample 3 has 2; 0 (no labels) and 1 are "
                                                  "possible")));
  write_pack(path, test::small_schema(), {{{}, {"seg"}, {}, {}}});
  EXPECT_THAT(faults_after(path, [](hid_t file) { H5Ldelete(file, "train/has_seg", H5P_DEFAULT); }),
              ElementsAre(HasSubstr("something was changed after packing")));
  write_pack(path, test::small_schema(), {});
  EXPECT_THAT(faults_after(path,
                           [](hid_t file) {
                             H5Adelete(file, "version");
                             io::write_attribute(file, "version", std::int64_t{3});
                           }),
              ElementsAre("attribute version is 3, a pack with what it holds has 2"));
  write_pack(path, test::small_schema(), {});
  EXPECT_THAT(faults_after(path,
                           [](hid_t file) {
                             H5Lcreate_hard(file, "train/label", file, "train/has_depth", H5P_DEFAULT, H5P_DEFAULT);
                           }),
              Contains(HasSubstr("/train/has_depth: its shape is 4 x 32 x 64, 4 is expected")));
}

TEST(PartialLabels, NoFlippedBitStaysUnseen) {
  const TempFolder folder;
  const Schema schema =
      write_pack(folder / "good.h5", schema_with_normals(), {{{}, {"seg", "depth"}, {"normals"}, {}}});
  const std::string good = test::bytes_of(folder / "good.h5");
  const std::size_t flags = test::chunk_address(folder / "good.h5", "/train/has_seg", 0);
  std::mt19937 random(3);
  for (std::size_t i = 0; i < 100; ++i) {
    std::string bad = good;
    const bool is_flag = i < 32;  // the four flags, each bit
    const std::size_t at =
        is_flag ? flags + i / 8 : std::uniform_int_distribution<std::size_t>(0, bad.size() - 1)(random);
    bad[at] = static_cast<char>(bad[at] ^ (1 << (is_flag ? i % 8 : random() % 8)));
    test::write_bytes(folder / "bad.h5", bad);
    Report report;
    const bool is_refused = error_of([&] { report = verify(folder / "bad.h5"); }) != "no error";
    if (is_flag) {
      EXPECT_THAT(report.faults, ElementsAre(HasSubstr("/train/has_seg: it cannot be read, the pack is damaged")))
          << at;
    } else if (!is_refused && report.faults.empty()) {  // in bytes that nobody reads
      EXPECT_EQ(report.schema.content_digest, schema.content_digest) << at;
      EXPECT_EQ(report.labelled_samples.size(), 3U) << at;
    }
  }
}

TEST(PartialLabels, ASampleSaidToBeWithoutMustBe) {
  const TempFolder folder;
  Writer writer(folder / "a.h5", test::small_schema(), false);
  const SmallSample full(1);
  Sample sample = full.view();
  for (const std::string key : {"seg", "depth"}) {
    sample.without = {key};
    EXPECT_THAT(
        error_of([&] { writer.append(Split::val, sample); }),
        HasSubstr("val sample 'raw/1.png': it has labels of task " + key + ", though it is said to be without"));
  }
  sample.without = {"normals"};
  EXPECT_THAT(error_of([&] { writer.append(Split::val, sample); }),
              HasSubstr("it lacks labels of task \"normals\", the pack has seg, depth"));
}

}  // namespace
}  // namespace xtasc::pack
