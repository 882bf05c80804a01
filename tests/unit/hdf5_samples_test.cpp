#include "io/hdf5_samples.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>

#include "hdf5_fixture.hpp"
#include "io/fletcher32.hpp"
#include "pack/reader.hpp"
#include "pack_fixture.hpp"

namespace xtasc::io {
namespace {

using test::error_of;
using test::TempFolder;
using testing::HasSubstr;

using Bytes = std::vector<std::uint8_t>;

Bytes random_bytes(std::size_t size, std::mt19937& random) {
  Bytes bytes(size);
  for (auto& byte : bytes) {
    byte = static_cast<std::uint8_t>(random());
  }
  return bytes;
}

/// A file that is never written anywhere.
Hdf5Handle memory_file() {
  const Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_core(access.get(), 1 << 16, false);
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  return {H5Fcreate("memory", H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), H5Fclose};
}

struct Layout {
  std::string name;
  hid_t memory_type, file_type;
  std::vector<hsize_t> chunk;  ///< empty: one block
  std::vector<H5Z_filter_t> filters;
  bool is_direct = false;
};

const std::vector<hsize_t> kShape = {9, 5, 7, 3};
constexpr std::size_t kSamples = 9;
constexpr std::size_t kValues = 5 * 7 * 3;
const std::vector<hsize_t> kSample = {1, 5, 7, 3};

Hdf5Handle create(hid_t file, const Layout& layout) {
  const Hdf5Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  if (!layout.chunk.empty()) {
    H5Pset_chunk(creation.get(), static_cast<int>(layout.chunk.size()), layout.chunk.data());
  }
  for (const H5Z_filter_t filter : layout.filters) {
    const unsigned level = 1;
    H5Pset_filter(creation.get(), filter, H5Z_FLAG_MANDATORY, filter == H5Z_FILTER_DEFLATE ? 1 : 0, &level);
  }
  std::vector<hsize_t> limit = kShape;
  limit[0] = layout.chunk.empty() ? limit[0] : H5S_UNLIMITED;
  const Hdf5Handle space(H5Screate_simple(4, kShape.data(), limit.data()), H5Sclose);
  return {
      H5Dcreate2(file, layout.name.c_str(), layout.file_type, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
      H5Dclose};
}

Bytes plain_read(hid_t data_set, hid_t type, hsize_t first, hsize_t count) {
  Bytes bytes(count * kValues * H5Tget_size(type));
  const std::array<hsize_t, 4> start = {first, 0, 0, 0}, extent = {count, 5, 7, 3};
  EXPECT_EQ(read_block(data_set, type, start, extent, bytes.data()), std::nullopt);
  return bytes;
}

Hdf5Samples samples_of(hid_t file, const std::string& name, hid_t type) {
  return {open_dataset(file, name, "f"), type};
}

/// Reads with guards around the place.
Bytes direct_read(const Hdf5Samples& samples, std::size_t first, std::size_t count) {
  constexpr std::size_t kGuard = 64;
  const std::size_t size = count * samples.sample_bytes();
  Bytes bytes(size + 2 * kGuard, 0xa5);
  samples.read(static_cast<std::int64_t>(first), static_cast<std::int64_t>(count), bytes.data() + kGuard, "f:/v");
  EXPECT_EQ(std::count(bytes.begin(), bytes.begin() + kGuard, 0xa5), kGuard);
  EXPECT_EQ(std::count(bytes.end() - kGuard, bytes.end(), 0xa5), kGuard);
  return {bytes.begin() + kGuard, bytes.end() - kGuard};
}

/// A sample as it is stored: with its checksum, or with the one of HDF5 1.6.2.
Bytes with_checksum(Bytes bytes, bool is_old = false) {
  std::uint32_t sum = fletcher32(std::as_bytes(std::span(bytes)));
  if (is_old) {
    sum = (sum & 0x00ff00ffU) << 8 | (sum >> 8 & 0x00ff00ffU);
  }
  for (int i = 0; i < 4; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(sum >> (8 * i)));
  }
  return bytes;
}

void write_chunk(hid_t data_set, hsize_t sample, const Bytes& bytes, unsigned skipped_filters = 0) {
  const std::array<hsize_t, 4> start = {sample, 0, 0, 0};
  ASSERT_GE(H5Dwrite_chunk(data_set, H5P_DEFAULT, skipped_filters, start.data(), bytes.size(), bytes.data()), 0);
}

const std::vector<H5Z_filter_t> kChecked = {H5Z_FILTER_FLETCHER32};

TEST(Fletcher32, EqualsTheLibrarys) {
  const Hdf5Handle file = memory_file();
  std::mt19937 random(1);
  std::vector<std::size_t> sizes(600);
  std::iota(sizes.begin(), sizes.end(), std::size_t{1});
  sizes.insert(sizes.end(), {23'040, 23'041, 23'103, 98'304, 100'001, 921'600});
  for (const std::size_t size : sizes) {
    for (const int content : {-1, 0, 0xff, 0x01}) {  // -1: random
      const Bytes bytes = content < 0 ? random_bytes(size, random) : Bytes(size, static_cast<std::uint8_t>(content));
      const Hdf5Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
      const hsize_t extent = size, start = 0;
      H5Pset_chunk(creation.get(), 1, &extent);
      H5Pset_fletcher32(creation.get());
      const Hdf5Handle space(H5Screate_simple(1, &extent, nullptr), H5Sclose);
      const Hdf5Handle set(H5Dcreate_anon(file.get(), H5T_STD_U8LE, space.get(), creation.get(), H5P_DEFAULT),
                           H5Dclose);
      ASSERT_GE(H5Dwrite(set.get(), H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()), 0);
      ASSERT_GE(H5Dflush(set.get()), 0);
      Bytes stored(size + 4);
      std::uint32_t mask = 0;
      ASSERT_GE(H5Dread_chunk(set.get(), H5P_DEFAULT, &start, &mask, stored.data()), 0);
      EXPECT_EQ(stored, with_checksum(bytes)) << size << " bytes, content " << content;
    }
  }
}

TEST(Fletcher32, SeesEveryFlippedBit) {
  std::mt19937 random(2);
  Bytes bytes = random_bytes(1001, random);
  const std::uint32_t stored = fletcher32(std::as_bytes(std::span(bytes)));
  EXPECT_TRUE(fletcher32_matches(std::as_bytes(std::span(bytes)), stored));
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ 1U << (bit % 8));
    EXPECT_FALSE(fletcher32_matches(std::as_bytes(std::span(bytes)), stored)) << bit;
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ 1U << (bit % 8));
  }
}

TEST(Hdf5Samples, EveryLayoutAndRangeReadsAsH5Dread) {
  const std::vector<Layout> layouts = {
      {"uint8", H5T_NATIVE_UINT8, H5T_STD_U8LE, kSample, kChecked, true},
      {"uint16", H5T_NATIVE_UINT16, H5T_STD_U16LE, kSample, kChecked, true},
      {"float32", H5T_NATIVE_FLOAT, H5T_IEEE_F32LE, kSample, kChecked, true},
      {"big endian", H5T_NATIVE_UINT16, H5T_STD_U16BE, kSample, kChecked},
      {"big endian float", H5T_NATIVE_FLOAT, H5T_IEEE_F32BE, kSample, kChecked},
      {"wider", H5T_NATIVE_UINT8, H5T_STD_U16LE, kSample, kChecked},
      {"one block", H5T_NATIVE_UINT8, H5T_STD_U8LE, {}, {}},
      {"no filter", H5T_NATIVE_UINT8, H5T_STD_U8LE, kSample, {}},
      {"deflate", H5T_NATIVE_UINT8, H5T_STD_U8LE, kSample, {H5Z_FILTER_DEFLATE}},
      {"deflate, checked", H5T_NATIVE_UINT16, H5T_STD_U16LE, kSample, {H5Z_FILTER_DEFLATE, H5Z_FILTER_FLETCHER32}},
      {"checked twice", H5T_NATIVE_UINT8, H5T_STD_U8LE, kSample, {H5Z_FILTER_FLETCHER32, H5Z_FILTER_FLETCHER32}},
      {"two samples", H5T_NATIVE_UINT8, H5T_STD_U8LE, {2, 5, 7, 3}, kChecked},
      {"half a sample", H5T_NATIVE_FLOAT, H5T_IEEE_F32LE, {1, 3, 7, 3}, kChecked}};
  const Hdf5Handle file = memory_file();
  std::mt19937 random(3);
  for (const Layout& layout : layouts) {
    Bytes values = random_bytes(kSamples * kValues * H5Tget_size(layout.memory_type), random);
    if (layout.memory_type == H5T_NATIVE_FLOAT) {  // no NaN, whose bits a conversion may change
      for (std::size_t i = 3; i < values.size(); i += 4) {
        values[i] &= 0x3f;
      }
    }
    {
      const Hdf5Handle set = create(file.get(), layout);
      ASSERT_GE(H5Dwrite(set.get(), layout.memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
    }
    const Hdf5Samples samples = samples_of(file.get(), layout.name, layout.memory_type);
    EXPECT_EQ(samples.is_direct(), layout.is_direct) << layout.name;
    const Hdf5Handle set = open_dataset(file.get(), layout.name, "f");
    for (std::size_t first = 0; first <= kSamples; ++first) {
      for (std::size_t count = 0; first + count <= kSamples; ++count) {
        const Bytes expected = plain_read(set.get(), layout.memory_type, first, count);
        EXPECT_EQ(direct_read(samples, first, count), expected) << layout.name << ' ' << first << ' ' << count;
        const auto* begin = values.data() + first * samples.sample_bytes();
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(), begin)) << layout.name;
      }
    }
    EXPECT_THAT(error_of([&] { direct_read(samples, 8, 2); }), HasSubstr("f:/v: samples 8 to 9 are asked for"));
  }
}

TEST(Hdf5Samples, UnusualChunksReadAsH5Dread) {
  const Hdf5Handle file = memory_file();
  std::mt19937 random(4);
  const Layout layout = {"v", H5T_NATIVE_UINT16, H5T_STD_U16LE, kSample, kChecked};
  Bytes expected;
  {
    const Hdf5Handle set = create(file.get(), layout);
    for (hsize_t i = 0; i < kSamples; ++i) {
      Bytes bytes = random_bytes(kValues * 2, random);
      if (i == 2 || i == 8) {  // never written
        bytes.assign(kValues * 2, 0);
      } else if (i == 3 || i == 5) {
        write_chunk(set.get(), i, bytes, 1);  // no filter, so no checksum
      } else {
        write_chunk(set.get(), i, with_checksum(bytes, i % 2 == 0));
      }
      expected.insert(expected.end(), bytes.begin(), bytes.end());
    }
  }
  const Hdf5Samples samples = samples_of(file.get(), "v", H5T_NATIVE_UINT16);
  EXPECT_TRUE(samples.is_direct());
  const Hdf5Handle set = open_dataset(file.get(), "v", "f");
  EXPECT_EQ(plain_read(set.get(), H5T_NATIVE_UINT16, 0, kSamples), expected);
  for (std::size_t first = 0; first < kSamples; ++first) {
    for (std::size_t count = 1; first + count <= kSamples; ++count) {
      const auto* begin = expected.data() + first * kValues * 2;
      EXPECT_EQ(direct_read(samples, first, count), Bytes(begin, begin + count * kValues * 2)) << first << ' ' << count;
    }
  }
}

TEST(Hdf5Samples, ChunksOfAnotherLengthNeverGoBeyondThePlace) {
  std::mt19937 random(5);
  for (const std::size_t stored : {std::size_t{1}, std::size_t{4}, kValues, kValues + 3, kValues + 5, 10 * kValues}) {
    const Hdf5Handle file = memory_file();
    {
      const Hdf5Handle set = create(file.get(), {"v", H5T_NATIVE_UINT8, H5T_STD_U8LE, kSample, kChecked});
      for (hsize_t i = 0; i < kSamples; ++i) {
        write_chunk(set.get(), i, i == 4 ? random_bytes(stored, random) : with_checksum(random_bytes(kValues, random)));
      }
    }
    const Hdf5Samples samples = samples_of(file.get(), "v", H5T_NATIVE_UINT8);
    for (const auto& [first, count] : {std::pair{0, 9}, {4, 1}, {3, 2}, {4, 2}}) {
      EXPECT_THAT(error_of([&, f = first, c = count] {
                    direct_read(samples, static_cast<std::size_t>(f), static_cast<std::size_t>(c));
                  }),
                  HasSubstr("f:/v: sample 4 cannot be read, the pack is damaged: "))
          << stored;
    }
  }
}

TEST(Hdf5Samples, FlippedBitsOfAPackAreNamed) {
  const TempFolder folder;
  test::write_small_pack(folder / "good.h5");
  const std::string good = test::bytes_of(folder / "good.h5");
  constexpr std::size_t kPixels = 32 * 64;
  std::mt19937 random(6);
  for (int i = 0; i < 150; ++i) {
    const std::size_t set = random() % 3, sample = random() % 3;
    const std::string name = std::array{"/train/image", "/train/label", "/train/depth"}[set];
    const std::size_t size = kPixels * std::array{3, 1, 4}[set] + 4;  // and the checksum itself
    const std::size_t at = test::chunk_address(folder / "good.h5", name, sample) + random() % size;
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (random() % 8)));
    test::write_bytes(folder / "bad.h5", bad);
    const pack::Reader reader(folder / "bad.h5");
    const auto read = [&](std::size_t which, std::int64_t first, std::int64_t count) {
      return error_of([&] {
        std::vector<float> depth(kPixels * static_cast<std::size_t>(count));
        Bytes bytes(kPixels * (which == 0 ? 3 : 1) * static_cast<std::size_t>(count));
        if (which == 0) {
          reader.read_images(pack::Split::train, first, count, bytes);
        } else if (which == 1) {
          reader.read_labels(pack::Split::train, 0, first, count, bytes);
        } else {
          reader.read_depth(pack::Split::train, first, count, std::span(depth));
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

}  // namespace
}  // namespace xtasc::io
