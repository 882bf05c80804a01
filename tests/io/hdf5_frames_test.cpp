#include "io/hdf5/hdf5_frames.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

#include "pack/pack_fixture.hpp"

namespace xtasc::io {
namespace {

using test::bytes_of;
using test::error_of;
using test::TempFolder;
using test::write_bytes;
using testing::HasSubstr;

/// How a data set of 7 frames of 2 x 10 x 12 values lies in the file.
struct Layout {
  const char* name;
  std::vector<hsize_t> chunk;  ///< empty: contiguous
  bool shuffle = false, deflate = false, fletcher = false;
  bool inflates_outside_lock = false;
  bool is_big_endian = false;
};

constexpr std::size_t kFrames = 7, kFrameValues = std::size_t{2} * 10 * 12;
const std::vector<hsize_t> kShape = {kFrames, 2, 10, 12};

std::vector<std::uint16_t> frame_values(std::size_t frame) {
  std::vector<std::uint16_t> values(kFrameValues);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<std::uint16_t>(frame * 5000 + i / 3 * 17);
  }
  return values;
}

/// \param num_written  frames that get their values; the others are never written.
void write_file(const std::filesystem::path& path, const Layout& layout, std::size_t num_written = kFrames) {
  const Hdf5Handle file = create_hdf5(path, path.string());
  const Hdf5Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  const std::uint16_t fill = 77;
  H5Pset_fill_value(creation.get(), H5T_NATIVE_UINT16, &fill);
  if (!layout.chunk.empty()) {
    H5Pset_chunk(creation.get(), 4, layout.chunk.data());
  }
  if (layout.shuffle) {
    H5Pset_shuffle(creation.get());
  }
  if (layout.deflate) {
    H5Pset_deflate(creation.get(), 3);
  }
  if (layout.fletcher) {
    H5Pset_fletcher32(creation.get());
  }
  const Hdf5Handle space(H5Screate_simple(4, kShape.data(), nullptr), H5Sclose);
  const Hdf5Handle set(H5Dcreate2(file.get(), "v", (layout.is_big_endian ? H5T_STD_U16BE : H5T_STD_U16LE), space.get(),
                                  H5P_DEFAULT, creation.get(), H5P_DEFAULT),
                       H5Dclose);
  for (std::size_t frame = 0; frame < num_written; ++frame) {
    const std::array<hsize_t, 4> start = {frame, 0, 0, 0}, count = {1, 2, 10, 12};
    ASSERT_EQ(write_block(set.get(), H5T_NATIVE_UINT16, start, count, frame_values(frame).data()), std::nullopt);
  }
}

std::vector<std::uint16_t> read_frame(const Hdf5Frames& frames, std::size_t frame) {
  std::vector<std::uint16_t> values(frames.frame_values());
  frames.read(frame, values.data());
  return values;
}

const std::vector<Layout> kLayouts = {
    {"contiguous", {}},
    {"plain chunks", {2, 1, 4, 12}},
    {"one frame", {1, 2, 10, 12}, false, true, false, true},
    {"one frame, shuffled", {1, 2, 10, 12}, true, true, false, true},
    {"part of one frame", {1, 1, 4, 5}, true, true, false, true},
    {"across frames", {3, 2, 10, 12}, false, true, false, true},
    {"parts across frames", {4, 1, 3, 7}, true, true, false, true},
    {"every frame", {7, 1, 1, 1}, false, true, false, true},
    {"with a checksum", {3, 1, 4, 5}, true, true, true, false},
    {"shuffled only", {3, 1, 4, 5}, true, false, false, false},
    {"of the other byte order", {3, 1, 4, 5}, true, true, false, false, true},
};

TEST(Hdf5Frames, EveryLayoutGivesTheSameValuesToManyThreads) {
  const TempFolder folder;
  for (const Layout& layout : kLayouts) {
    write_file(folder / layout.name, layout);
    const Hdf5Handle file = open_hdf5(folder / layout.name);
    for (const std::size_t cache_bytes : {std::size_t{1}, std::size_t{1} << 20}) {  // with 1 nothing stays long
      const Hdf5Frames frames(file.get(), "v", H5T_NATIVE_UINT16, cache_bytes, "f");
      EXPECT_EQ(frames.inflates_outside_lock(), layout.inflates_outside_lock) << layout.name;
      EXPECT_EQ(frames.shape(), kShape);
      std::atomic<std::size_t> next{0}, num_right{0};
      {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i) {
          threads.emplace_back([&] {
            for (std::size_t job = next++; job < 8 * kFrames; job = next++) {
              const std::size_t frame = job * 3 % kFrames;
              num_right += read_frame(frames, frame) == frame_values(frame) ? 1 : 0;
            }
          });
        }
      }
      EXPECT_EQ(num_right, 8 * kFrames) << layout.name << ", cache of " << cache_bytes;
    }
  }
}

TEST(Hdf5Frames, WhatWasNeverWrittenIsTheFillValue) {
  const TempFolder folder;
  for (const Layout& layout : kLayouts) {
    write_file(folder / layout.name, layout, 3);
    const Hdf5Handle file = open_hdf5(folder / layout.name);
    const Hdf5Frames frames(file.get(), "v", H5T_NATIVE_UINT16, 1 << 20, "f");
    EXPECT_EQ(read_frame(frames, 2), frame_values(2)) << layout.name;
    EXPECT_EQ(read_frame(frames, 6), std::vector<std::uint16_t>(kFrameValues, 77)) << layout.name;
  }
}

TEST(Hdf5Frames, AChunkMayLackItsFilters) {
  const TempFolder folder;
  write_file(folder / "a.h5", {"", {1, 2, 10, 12}, true, true});
  {
    const Hdf5Handle file(H5Fopen((folder / "a.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    const Hdf5Handle set = open_dataset(file.get(), "v", "f");
    const std::array<hsize_t, 4> start = {1, 0, 0, 0};
    ASSERT_GE(H5Dwrite_chunk(set.get(), H5P_DEFAULT, 3, start.data(), 2 * kFrameValues, frame_values(9).data()), 0);
  }
  const Hdf5Handle file = open_hdf5(folder / "a.h5");
  const Hdf5Frames frames(file.get(), "v", H5T_NATIVE_UINT16, 1 << 20, "f");
  EXPECT_EQ(read_frame(frames, 1), frame_values(9));
}

TEST(Hdf5Frames, DamageIsNamed) {
  const TempFolder folder;
  write_file(folder / "a.h5", {"", {2, 2, 10, 12}, false, true});
  {
    const Hdf5Handle file(H5Fopen((folder / "a.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    const Hdf5Handle set = open_dataset(file.get(), "v", "f");
    const std::string junk(4000, 'x');
    const auto put = [&](hsize_t frame, std::uint32_t mask, std::size_t size) {
      const std::array<hsize_t, 4> start = {frame, 0, 0, 0};
      ASSERT_GE(H5Dwrite_chunk(set.get(), H5P_DEFAULT, mask, start.data(), size, junk.data()), 0);
    };
    put(0, 0, 100);
    put(2, 1, 100);
    put(4, 0, 4000);
  }
  const Hdf5Handle file = open_hdf5(folder / "a.h5");
  const Hdf5Frames frames(file.get(), "v", H5T_NATIVE_UINT16, 1 << 20, "'a.h5'");
  const auto error = [&](std::size_t frame) { return error_of([&] { std::ignore = read_frame(frames, frame); }); };
  EXPECT_EQ(error(1), "cannot read 'v' of frame 2 from 'a.h5': damaged, a chunk cannot be inflated");
  EXPECT_EQ(error(1), error(1));
  EXPECT_EQ(error(3), "cannot read 'v' of frame 4 from 'a.h5': damaged, a chunk has 100 bytes instead of 960");
  EXPECT_EQ(error(4), "cannot read 'v' of frame 5 from 'a.h5': a chunk of 960 bytes is stored in 4000");
  EXPECT_EQ(error(6), "no error");
  EXPECT_EQ(error(7), "'a.h5': 'v' has no frame 8");
  const std::string good = bytes_of(folder / "a.h5");
  for (std::size_t i = 0; i < good.size(); i += 3) {  // whatever is damaged: an error or other values
    std::string bad = good;
    bad[i] = static_cast<char>(~bad[i]);
    write_bytes(folder / "b.h5", bad);
    std::ignore = error_of([&] {
      const Hdf5Handle torn = open_hdf5(folder / "b.h5");
      const Hdf5Frames torn_frames(torn.get(), "v", H5T_NATIVE_UINT16, 1 << 20, "f");
      for (std::size_t frame = 0; frame < torn_frames.shape()[0] && frame < kFrames; ++frame) {
        std::ignore = read_frame(torn_frames, frame);
      }
    });
  }
}

TEST(Hdf5Frames, HugeClaimsAreRefused) {
  const TempFolder folder;
  const auto error = [&](const std::vector<hsize_t>& shape, const std::vector<hsize_t>& chunk) {
    std::filesystem::remove(folder / "a.h5");
    const Hdf5Handle file = create_hdf5(folder / "a.h5", "a.h5");
    {
      const Hdf5Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
      H5Pset_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data());
      const Hdf5Handle space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose);
      const Hdf5Handle set(
          H5Dcreate2(file.get(), "v", H5T_NATIVE_FLOAT, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
          H5Dclose);
    }
    return error_of([&] { Hdf5Frames(file.get(), "v", H5T_NATIVE_FLOAT, 1 << 20, "f"); });
  };
  EXPECT_EQ(error({1449, 5000, 4000}, {1, 100, 100}),
            "f: 'v' has shape 1449 x 5000 x 4000, frames of up to 16777216 values are accepted");
  EXPECT_EQ(error({1449, 640, 480}, {100, 640, 480}),
            "f: 'v' is stored in chunks of 100 x 640 x 480 values, up to 64 MiB a chunk are accepted");
  EXPECT_THAT(error({3, hsize_t{1} << 62, 4}, {1, 1, 4}), HasSubstr("frames of up to 16777216 values"));
  EXPECT_THAT(error({0, 640, 480}, {1, 640, 480}), HasSubstr("frames of 1 to 3 dimensions are expected"));
}

}  // namespace
}  // namespace xtasc::io
