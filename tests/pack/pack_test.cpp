#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>

#include "io/checksum.hpp"
#include "io/hdf5/hdf5.hpp"
#include "io/hdf5_fixture.hpp"
#include "pack/digest.hpp"
#include "pack/pack_fixture.hpp"
#include "pack/reader.hpp"
#include "pack/verify.hpp"
#include "pack/writer.hpp"

/// HDF5 loses a few small blocks of its own when it meets a damaged file; address-sanitizer builds ask here.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libhdf5";
}

namespace xtasc::pack {
namespace {

using test::bytes_of;
using test::chunk_address;
using test::error_of;
using test::small_schema;
using test::SmallSample;
using test::TempFolder;
using test::write_bytes;
using test::write_small_pack;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::size_t kPixels = 32 * 64;

TEST(Pack, RoundTripFloatDepth) {
  const TempFolder folder;
  const Schema written = write_small_pack(folder / "a.h5");
  EXPECT_THAT(folder.entries(), ElementsAre("a.h5"));
  const Reader reader(folder / "a.h5");
  const Schema& schema = reader.schema();
  EXPECT_EQ(schema.dataset, "small");
  EXPECT_EQ(schema.height, 32);
  EXPECT_EQ(schema.width, 64);
  ASSERT_EQ(schema.label_sets.size(), 1U);
  EXPECT_THAT(schema.label_sets[0].class_names, ElementsAre("floor", "wall", "sky"));
  EXPECT_EQ(schema.label_sets[0].class_colors, small_schema().label_sets[0].class_colors);
  EXPECT_EQ(schema.depth_type, DepthType::float32);
  EXPECT_EQ(schema.depth_max, 10.0);
  EXPECT_EQ(schema.source, "a test");
  EXPECT_EQ(schema.content_digest, written.content_digest);
  EXPECT_EQ(schema.content_digest.size(), 32U);
  EXPECT_EQ(reader.size(Split::train), 3);
  EXPECT_EQ(reader.size(Split::val), 2);
  EXPECT_THAT(reader.names(Split::val), ElementsAre("raw/3.png", "raw/4.png"));
  std::vector<std::uint8_t> images(2 * kPixels * 3), labels(2 * kPixels);
  std::vector<float> depth(2 * kPixels);
  reader.read_images(Split::train, 1, 2, images);
  reader.read_labels(Split::train, 0, 1, 2, labels);
  reader.read_depth(Split::train, 1, 2, std::span<float>(depth));
  for (std::uint32_t i = 0; i < 2; ++i) {
    const SmallSample sample(1 + i);
    EXPECT_TRUE(std::equal(sample.image.begin(), sample.image.end(), images.begin() + i * std::ptrdiff_t{kPixels} * 3));
    EXPECT_TRUE(std::equal(sample.label.begin(), sample.label.end(), labels.begin() + i * std::ptrdiff_t{kPixels}));
    EXPECT_TRUE(std::equal(sample.depth.begin(), sample.depth.end(), depth.begin() + i * std::ptrdiff_t{kPixels}));
  }
  const Report report = verify(folder / "a.h5");
  EXPECT_THAT(report.faults, IsEmpty());
  EXPECT_EQ(report.pixels, static_cast<std::int64_t>(5 * kPixels));
  EXPECT_EQ(report.depth_min, 0.25);
  std::int64_t counted = 0;
  for (const std::int64_t count : report.label_pixels[0]) {
    counted += count;
  }
  EXPECT_EQ(counted, report.pixels);
}

TEST(Pack, RoundTripUint16DepthAndTwoLabelSets) {
  const TempFolder folder;
  Schema schema = small_schema();
  schema.depth_type = DepthType::uint16;
  schema.depth_kind = DepthKind::inverse_depth;
  schema.depth_scale = 1.0 / 65536;
  schema.label_sets = {{"label_7", {"a", "b", "c"}, default_class_colors(3)},
                       {"label_19", {"a", "b", "c", "d"}, default_class_colors(4)}};
  const SmallSample data(1);
  {
    Writer writer(folder / "a.h5", schema, false);
    Sample sample = data.view();
    sample.labels = {data.label, data.label};
    sample.depth = std::span<const std::uint16_t>(data.depth16);
    writer.append(Split::train, sample);
    writer.finish();
  }
  const Reader reader(folder / "a.h5");
  ASSERT_EQ(reader.schema().label_sets.size(), 2U);
  EXPECT_EQ(reader.schema().label_sets[0].name, "label_7");
  EXPECT_EQ(reader.schema().num_classes(), 3);
  EXPECT_EQ(reader.schema().depth_type, DepthType::uint16);
  EXPECT_EQ(reader.schema().depth_kind, DepthKind::inverse_depth);
  EXPECT_EQ(reader.size(Split::val), 0);
  EXPECT_THAT(reader.names(Split::val), IsEmpty());
  std::vector<std::uint16_t> depth(kPixels);
  reader.read_depth(Split::train, 0, 1, std::span<std::uint16_t>(depth));
  EXPECT_EQ(depth, data.depth16);
  std::vector<float> wrong(kPixels);
  EXPECT_THAT(error_of([&] { reader.read_depth(Split::train, 0, 1, std::span<float>(wrong)); }),
              HasSubstr("is uint16, not float32"));
  EXPECT_THAT(error_of([&] { reader.read_depth(Split::train, 0, 2, std::span<std::uint16_t>(depth)); }),
              HasSubstr("samples 0 to 1 of train are asked for, it has 1"));
  EXPECT_THAT(verify(folder / "a.h5").faults, IsEmpty());
}

TEST(Pack, OrientationIsPartOfTheDigestOnlyWhereAPictureWasTurned) {
  Schema schema = test::small_schema();
  schema.tool_version = "1";
  const std::string text = digest_text(schema);
  EXPECT_EQ(io::digest_hex(text), "58fe6fff7441f76da16842efd19ad21f") << "every pack's digest would change";
  schema.orientation = "apply";
  EXPECT_NE(digest_text(schema), text);

  const TempFolder folder;
  const auto write = [&](const std::string& orientation) {
    Writer writer(folder / "a.h5", test::small_schema(), true);
    writer.append(Split::train, SmallSample(0).view());
    EXPECT_GT(writer.depth_max(), 0.0);
    return writer.finish({}, orientation);
  };
  const std::string upright = write("").content_digest;
  EXPECT_EQ(Reader(folder / "a.h5").schema().orientation, "");
  for (const std::string orientation : {"apply", "ignore"}) {
    EXPECT_NE(write(orientation).content_digest, upright);
    EXPECT_EQ(Reader(folder / "a.h5").schema().orientation, orientation);
    EXPECT_THAT(verify(folder / "a.h5").faults, IsEmpty());
  }
  EXPECT_THAT(error_of([&] { write("turn"); }),
              HasSubstr("orientation is \"turn\"; \"apply\" and \"ignore\" are known"));
}

TEST(ContentDigest, IsTheHeadersUntilSomebodyEditsThePack) {
  const TempFolder folder;
  const Schema schema = write_small_pack(folder / "a.h5");
  EXPECT_EQ(content_digest(folder / "a.h5"), schema.content_digest);
  test::edit_in_place(folder / "a.h5");
  EXPECT_EQ(Reader(folder / "a.h5").schema().content_digest, schema.content_digest);
  EXPECT_NE(content_digest(folder / "a.h5"), schema.content_digest);
  EXPECT_THAT(verify(folder / "a.h5").faults,
              Contains(HasSubstr("give " + content_digest(folder / "a.h5") + ": something was changed")));

  Schema integers = small_schema();
  integers.depth_type = DepthType::uint16;
  integers.depth_scale = 0.001;
  Writer writer(folder / "b.h5", integers, false);
  for (std::uint32_t i = 0; i < 3; ++i) {
    const SmallSample values(i);
    Sample sample = values.view();
    sample.depth = std::span<const std::uint16_t>(values.depth16);
    writer.append(i < 2 ? Split::train : Split::val, sample);
  }
  const std::string written = writer.finish().content_digest;
  EXPECT_EQ(content_digest(folder / "b.h5"), written);
}

TEST(Verify, NamesDataSetAndSampleOfAFlippedBit) {
  const TempFolder folder;
  write_small_pack(folder / "good.h5");
  const std::string good = bytes_of(folder / "good.h5");
  const haddr_t address = chunk_address(folder / "good.h5", "/train/image", 2);
  std::string bad = good;
  bad[address + 777] = static_cast<char>(bad[address + 777] ^ 1);
  write_bytes(folder / "bad.h5", bad);
  testing::internal::CaptureStderr();
  const Report report = verify(folder / "bad.h5");
  EXPECT_THAT(report.faults,
              ElementsAre(HasSubstr("bad.h5:/train/image: sample 2 cannot be read, the pack is damaged")));
  const Reader reader(folder / "bad.h5");
  std::vector<std::uint8_t> images(3 * kPixels * 3);
  EXPECT_THAT(error_of([&] { reader.read_images(Split::train, 0, 3, images); }),
              HasSubstr("/train/image: sample 2 cannot be read"));
  reader.read_images(Split::train, 0, 2, std::span(images).first(2 * kPixels * 3));

  const haddr_t depth_address = chunk_address(folder / "good.h5", "/val/depth", 1);
  bad[depth_address] = static_cast<char>(bad[depth_address] ^ 0x80);
  write_bytes(folder / "bad.h5", bad);
  EXPECT_THAT(verify(folder / "bad.h5").faults,
              ElementsAre(HasSubstr("/train/image: sample 2"), HasSubstr("/val/depth: sample 1")));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Reader, NamesTheSampleOfEveryFlippedBit) {
  const TempFolder folder;
  write_small_pack(folder / "good.h5");
  const std::string good = bytes_of(folder / "good.h5");
  std::mt19937 random(6);
  for (int i = 0; i < 150; ++i) {
    const std::size_t set = random() % 3, sample = random() % 3;
    const std::string name = std::array{"/train/image", "/train/label", "/train/depth"}[set];
    const std::size_t size = kPixels * std::array{3, 1, 4}[set] + 4;  // and the checksum itself
    const std::size_t at = chunk_address(folder / "good.h5", name, sample) + random() % size;
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (random() % 8)));
    write_bytes(folder / "bad.h5", bad);
    const Reader reader(folder / "bad.h5");
    const auto read = [&](std::size_t which, std::int64_t first, std::int64_t count) {
      return error_of([&] {
        const auto values = kPixels * static_cast<std::size_t>(count);
        std::vector<float> depth(values);
        std::vector<std::uint8_t> bytes(values * (which == 0 ? 3 : 1));
        if (which == 0) {
          reader.read_images(Split::train, first, count, bytes);
        } else if (which == 1) {
          reader.read_labels(Split::train, 0, first, count, bytes);
        } else {
          reader.read_depth(Split::train, first, count, std::span(depth));
        }
      });
    };
    const auto number = static_cast<std::int64_t>(sample);
    const std::string fault =
        fmt::format("{}:{}: sample {} cannot be read, the pack is damaged: data error detected by Fletcher32 checksum",
                    (folder / "bad.h5").string(), name, sample);
    EXPECT_EQ(read(set, 0, 3), fault);
    EXPECT_EQ(read(set, number, 1), fault);
    EXPECT_EQ(read((set + 1) % 3, 0, 3), "no error");
    EXPECT_EQ(read(set, 0, number), "no error");
    EXPECT_EQ(read(set, number + 1, 2 - number), "no error");
  }
}

TEST(Reader, RefusesChunksOfAnotherLength) {
  const TempFolder folder;
  for (const std::size_t stored : {std::size_t{1}, std::size_t{4}, kPixels, kPixels + 3, kPixels + 5, 10 * kPixels}) {
    write_small_pack(folder / "a.h5", true);
    {
      const io::Hdf5Handle file(H5Fopen((folder / "a.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
      const io::Hdf5Handle set = io::open_dataset(file.get(), "train/label", "a.h5");
      const std::array<hsize_t, 3> start = {1, 0, 0};
      const std::string chunk(stored, 'x');
      ASSERT_GE(H5Dwrite_chunk(set.get(), H5P_DEFAULT, 0, start.data(), stored, chunk.data()), 0);
    }
    const Reader reader(folder / "a.h5");
    std::vector<std::uint8_t> labels(3 * kPixels);
    EXPECT_THAT(error_of([&] { reader.read_labels(Split::train, 0, 0, 3, labels); }),
                HasSubstr(fmt::format("/train/label: sample 1 cannot be read, the pack is damaged: its chunk has {} "
                                      "bytes, {} are expected",
                                      stored, kPixels + 4)));
  }
}

TEST(Verify, NoFlippedBitStaysUnseen) {
  const TempFolder folder;
  const Schema schema = write_small_pack(folder / "good.h5");
  const std::string good = bytes_of(folder / "good.h5");
  std::mt19937 random(1);
  int harmless = 0;
  for (int i = 0; i < 300; ++i) {
    std::string bad = good;
    const std::size_t at = std::uniform_int_distribution<std::size_t>(0, bad.size() - 1)(random);
    bad[at] = static_cast<char>(bad[at] ^ (1 << (random() % 8)));
    write_bytes(folder / "bad.h5", bad);
    Report report;
    const bool refused = error_of([&] { report = verify(folder / "bad.h5"); }) != "no error";
    if (!refused && report.faults.empty()) {
      ++harmless;  // it must then lie in bytes that nobody reads: everything that is read gives the same digest
      EXPECT_EQ(report.schema.content_digest, schema.content_digest) << at;
      EXPECT_EQ(report.train_size + report.val_size, 5) << at;
    }
  }
  EXPECT_LT(harmless, 60);
}

TEST(Reader, RefusesEveryTruncation) {
  const TempFolder folder;
  write_small_pack(folder / "good.h5");
  const std::string good = bytes_of(folder / "good.h5");
  for (std::size_t size = 0; size < good.size(); size += good.size() / 61) {
    write_bytes(folder / "bad.h5", good.substr(0, size));
    EXPECT_THAT(error_of([&] { const Reader reader(folder / "bad.h5"); }), HasSubstr("bad.h5")) << size;
  }
}

TEST(Reader, SaysWhatIsMissingOrWrong) {
  const TempFolder folder;
  const auto refusal = [&](const std::function<void(hid_t)>& edit) {
    write_small_pack(folder / "a.h5", true);
    {
      const io::Hdf5Handle file(H5Fopen((folder / "a.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
      edit(file.get());
    }
    return error_of([&] { const Reader reader(folder / "a.h5"); });
  };
  EXPECT_THAT(refusal([](hid_t f) { H5Adelete(f, "format"); }), HasSubstr("is an HDF5 file but no pack"));
  EXPECT_THAT(refusal([](hid_t f) { H5Adelete(f, "depth_kind"); }), HasSubstr("attribute 'depth_kind' is missing"));
  for (const std::int64_t version : {1, 9}) {
    EXPECT_EQ(
        refusal([version](hid_t f) {
          H5Adelete(f, "version");
          io::write_attribute(f, "version", version);
        }),
        fmt::format("{}: it is a pack of version {}, this program reads versions 2 and 3: pack the raw data again",
                    (folder / "a.h5").string(), version));
  }
  EXPECT_THAT(refusal([](hid_t f) {
                H5Adelete(f, "height");
                io::write_attribute(f, "height", std::int64_t{64});
              }),
              HasSubstr("/train/image: its shape is 3 x 32 x 64 x 3, 3 x 64 x 64 x 3 is expected"));
  EXPECT_THAT(refusal([](hid_t f) {
                H5Adelete(f, "depth_scale");
                io::write_attribute(f, "depth_scale", std::nan(""));
              }),
              HasSubstr("depth_scale is nan, it must be positive"));
  EXPECT_THAT(refusal([](hid_t f) { H5Ldelete(f, "train/depth", H5P_DEFAULT); }),
              HasSubstr("data set 'depth' is missing"));
  EXPECT_THAT(refusal([](hid_t f) { H5Ldelete(f, "val/name", H5P_DEFAULT); }),
              HasSubstr("/val: data set 'name' is missing"));
  EXPECT_EQ(refusal([](hid_t f) {
              H5Adelete(f, "source");
              io::write_attribute(f, "source", std::string_view("edited"));
            }),
            "no error");
  EXPECT_THAT(verify(folder / "a.h5").faults, ElementsAre(HasSubstr("something was changed after packing")));
}

TEST(Pack, OpensInH5py) {
  const std::string python = test::python_with_h5py();
  if (python.empty()) {
    GTEST_SKIP() << "no Python with h5py found";
  }
  const TempFolder folder;
  write_small_pack(folder / "a.h5");
  write_bytes(folder / "read.py", R"(
import sys, h5py
f = h5py.File(sys.argv[1])
assert f.attrs["format"] == b"xtasc-pack" and f.attrs["num_classes"] == 3, dict(f.attrs)
assert f.attrs["class_names"].tolist() == [b"floor", b"wall", b"sky"], f.attrs["class_names"]
assert f["train/label"].attrs["class_colors"].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 255]]
assert f["train/image"].shape == (3, 32, 64, 3) and f["train/image"].chunks[0] == 1 and f["train/image"].fletcher32
assert f["val/name"].asstr()[1] == "raw/4.png"
assert f["train/image"][1, 0, 1, 2] == 31 + 7 + 2 and f["val/depth"].dtype == "float32"
assert f["val/label"][0, 0, 4] == 255
)");
  const std::string command = "'" + python + "' " + (folder / "read.py").string() + " " + (folder / "a.h5").string();
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace xtasc::pack
