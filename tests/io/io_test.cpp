#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <cstring>

#include "io/atomic_file.hpp"
#include "io/checksum.hpp"
#include "io/hdf5/hdf5.hpp"
#include "io/image/image.hpp"
#include "io/jpeg_file.hpp"
#include "io/npy.hpp"
#include "pack/pack_fixture.hpp"

namespace xtasc::io {
namespace {

using test::bytes_of;
using test::error_of;
using test::TempFolder;
using test::write_bytes;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

TEST(AtomicFile, WritesReplacesAndLeavesNothingElse) {
  const TempFolder folder;
  write_file_atomically(folder / "a.txt", "first");
  write_file_atomically(folder / "a.txt", "second");
  EXPECT_EQ(read_file(folder / "a.txt"), "second");
  EXPECT_THAT(folder.entries(), ElementsAre("a.txt"));
}

TEST(AtomicFile, FailureNamesThePathAndKeepsTheOldFile) {
  const TempFolder folder;
  EXPECT_THAT(error_of([&] { write_file_atomically(folder / "none/a.txt", "x"); }),
              HasSubstr("none/a.txt': No such file"));
  EXPECT_THAT(error_of([&] { std::ignore = read_file(folder / "b.txt"); }), HasSubstr("b.txt': No such file"));
  write_file_atomically(folder / "a.txt", "old");
  {
    const test::FileSizeLimit limit(1000);
    const std::string error = error_of([&] { write_file_atomically(folder / "a.txt", std::string(5000, 'x')); });
    EXPECT_THAT(error, HasSubstr("a.txt': File too large"));
  }
  EXPECT_EQ(read_file(folder / "a.txt"), "old");
  EXPECT_THAT(folder.entries(), ElementsAre("a.txt"));
}

TEST(AtomicFile, RemovesTemporariesOfDeadWritersOnly) {
  const TempFolder folder;
  test::run_and_die([&] { write_bytes(temporary_path(folder / "a.txt"), "torn"); });
  const auto living = folder / ".a.txt.partial-1";  // process 1 always lives
  write_bytes(living, "being written");
  ASSERT_EQ(folder.entries().size(), 2U);
  write_file_atomically(folder / "a.txt", "whole");
  EXPECT_THAT(folder.entries(), ElementsAre(".a.txt.partial-1", "a.txt"));
}

TEST(Checksum, IsXxh3AndKeepsTextsApart) {
  EXPECT_EQ(digest_hex(std::string_view()), "99aa06d3014798d86001c324468d497f");  // from xxHash's own sanity checks
  Digest parts;
  parts.add(std::as_bytes(std::span("ab", 2)));
  parts.add(std::as_bytes(std::span("c", 1)));
  EXPECT_EQ(parts.hex(), digest_hex("abc"));
  const TempFolder folder;
  const std::string large(3'000'001, 'x');
  write_bytes(folder / "large", large);
  EXPECT_EQ(file_digest(folder / "large"), digest_hex(large));
  EXPECT_THAT(error_of([&] { static_cast<void>(file_digest(folder / "none")); }),
              EndsWith("none': No such file or directory"));
  EXPECT_THAT(error_of([&] { static_cast<void>(file_digest(folder.path())); }),
              EndsWith(": it is a folder, a file is expected"));
  Digest first, second;
  first.add_text("ab");
  first.add_text("c");
  second.add_text("a");
  second.add_text("bc");
  EXPECT_NE(first.hex(), second.hex());
}

TEST(Npy, RoundTripAndFaults) {
  const TempFolder folder;
  const std::vector<float> values = {1.5F, -2.0F, 3.0F, 4.0F, 5.0F, 6.0F};
  const std::array<std::int64_t, 2> shape = {2, 3};
  write_npy(folder / "a.npy", values, shape);
  const auto array = read_npy_numbers(folder / "a.npy");
  EXPECT_THAT(array.values, ElementsAre(1.5, -2.0, 3.0, 4.0, 5.0, 6.0));
  EXPECT_THAT(array.header.shape, ElementsAre(2, 3));
  const std::string bytes = bytes_of(folder / "a.npy");
  EXPECT_THAT(bytes.substr(10), StartsWith("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"));
  EXPECT_EQ((bytes.size() - values.size() * 4) % 64, 0U);

  const std::array<std::int64_t, 1> one = {3};
  write_npy(folder / "b.npy", std::span(values).first(3), one);
  EXPECT_THAT(bytes_of(folder / "b.npy"), HasSubstr("'shape': (3,)"));

  write_bytes(folder / "c.npy", bytes.substr(0, bytes.size() - 1));
  EXPECT_THAT(error_of([&] { std::ignore = read_npy_numbers(folder / "c.npy"); }),
              HasSubstr("needs 24 bytes of data, the file holds 23"));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    write_bytes(folder / "c.npy", bytes.substr(0, size));
    EXPECT_NE(error_of([&] { std::ignore = read_npy_numbers(folder / "c.npy"); }), "no error") << size;
  }
  EXPECT_THAT(error_of([&] { write_npy(folder / "d.npy", values, one); }),
              HasSubstr("6 values do not fill the shape (3,"));
}

/// A .npy file of version 2 whose header is padded to `length` bytes.
std::string npy_file(const std::string& dictionary, std::size_t length, const std::string& data) {
  std::string file = "\x93NUMPY";
  file += {'\x02', '\x00', static_cast<char>(length & 0xff), static_cast<char>(length >> 8), '\x00', '\x00'};
  return file + dictionary + std::string(length - dictionary.size() - 1, ' ') + '\n' + data;
}

TEST(Npy, ReadsNumbersOfAnyTypeAndOrder) {
  const TempFolder folder;
  const auto values_of = [&](const std::string& dictionary, std::size_t length, const std::string& data) {
    write_bytes(folder / "a.npy", npy_file(dictionary, length, data));
    EXPECT_THAT(read_npy_header(folder / "a.npy").shape, ElementsAre(2, 3));
    return read_npy_numbers(folder / "a.npy").values;
  };
  const std::string columns("\x01\x00\xff\xff\x02\x00\xfe\xff\x03\x00\xfd\xff", 12);
  EXPECT_THAT(values_of("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3)}", 100, columns),
              ElementsAre(1, 2, 3, -1, -2, -3));
  EXPECT_THAT(values_of("{'descr': '<u2', 'fortran_order': False, 'shape': (2, 3)}", 100, columns),
              ElementsAre(1, 65535, 2, 65534, 3, 65533));
  EXPECT_THAT(values_of("{'descr': '|b1', 'fortran_order': False, 'shape': (2, 3)}", 9000, columns.substr(0, 6)),
              ElementsAre(1, 0, 255, 255, 2, 0))
      << "a header longer than what is read first";
  write_bytes(folder / "a.npy", npy_file("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", 100, "12345678"));
  EXPECT_THAT(error_of([&] { std::ignore = read_npy_header(folder / "a.npy"); }),
              HasSubstr("elements are of type '<c8'"));
  std::filesystem::create_directories(folder / "b.npy");
  EXPECT_THAT(error_of([&] { std::ignore = read_npy_header(folder / "b.npy"); }),
              HasSubstr("it is a folder, a .npy file is expected"));
}

std::vector<std::uint8_t> pattern(std::size_t count) {
  std::vector<std::uint8_t> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<std::uint8_t>(i * 37 + i / 11);
  }
  return values;
}

TEST(Image, PngRoundTrip) {
  const TempFolder folder;
  const auto grey = pattern(30);
  const auto rgb = pattern(90);
  const std::vector<std::uint16_t> deep = {0, 1, 255, 256, 40000, 65535};
  write_png(folder / "grey.png", grey, 6, 5, 1);
  write_png(folder / "rgb.png", rgb, 6, 5, 3);
  write_png(folder / "deep.png", deep, 2, 3);
  EXPECT_EQ(read_grey8_image(folder / "grey.png").pixels, grey);
  EXPECT_EQ(read_rgb_image(folder / "rgb.png").pixels, rgb);
  EXPECT_EQ(read_grey16_image(folder / "deep.png").pixels, deep);
  const ImageHeader header = read_image_header(folder / "deep.png");
  EXPECT_EQ(header.height, 2);
  EXPECT_EQ(header.width, 3);
  EXPECT_EQ(header.bit_depth, 16);
  EXPECT_EQ(header.channels, 1);
}

TEST(Image, HeaderFaultsAreNamed) {
  const TempFolder folder;
  write_png(folder / "grey.png", pattern(30), 6, 5, 1);
  write_png(folder / "rgb.png", pattern(90), 6, 5, 3);
  write_png(folder / "deep.png", std::vector<std::uint16_t>(30), 6, 5);
  ImageRules rules;
  rules.height = 6;
  rules.width = 7;
  EXPECT_THAT(error_of([&] { std::ignore = read_grey8_image(folder / "grey.png", rules); }),
              HasSubstr("grey.png': 6 x 5 pixels (height x width), 6 x 7 are expected"));
  EXPECT_THAT(error_of([&] { std::ignore = read_grey16_image(folder / "grey.png"); }),
              HasSubstr("a PNG of 1 channel of 8 bits, a grey PNG of 16 bits is expected"));
  EXPECT_THAT(error_of([&] { std::ignore = read_grey8_image(folder / "deep.png"); }),
              HasSubstr("a PNG of 1 channel of 16 bits, a grey PNG of 8 bits is expected"));
  EXPECT_THAT(error_of([&] { std::ignore = read_grey8_image(folder / "rgb.png"); }),
              HasSubstr("a PNG of 3 channels of 8 bits"));
  EXPECT_THAT(error_of([&] { std::ignore = read_rgb_image(folder / "deep.png"); }),
              HasSubstr("16 bits a channel, 8 are expected"));
  EXPECT_THAT(error_of([&] { std::ignore = read_image_header(folder / "none.png"); }),
              HasSubstr("none.png': No such file"));
  EXPECT_THAT(error_of([&] { std::ignore = read_image_header(folder.path()); }),
              HasSubstr("it is a folder, a PNG or JPEG image is expected"));
  EXPECT_THAT(error_of([&] { std::ignore = read_rgb_image(folder.path()); }),
              HasSubstr("it is a folder, a PNG or JPEG image is expected"));
  std::filesystem::create_symlink("gone.png", folder / "link.png");
  EXPECT_THAT(error_of([&] { std::ignore = read_image_header(folder / "link.png"); }),
              HasSubstr("link.png': it is a link that leads nowhere (gone.png)"));
  write_bytes(folder / "lfs.png", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n");
  EXPECT_THAT(error_of([&] { std::ignore = read_image_header(folder / "lfs.png"); }),
              HasSubstr("lfs.png': found a Git LFS pointer instead of the file (run `git lfs pull`)"));
  write_bytes(folder / "empty.png", "");
  EXPECT_THAT(error_of([&] { std::ignore = read_image_header(folder / "empty.png"); }),
              HasSubstr("found an empty file"));
  write_bytes(folder / "text.png", "<html>not found</html>\n");
  EXPECT_THAT(error_of([&] { std::ignore = read_image_header(folder / "text.png"); }),
              HasSubstr("found text (\"<html>"));
}

/// CRC-32 bit by bit: another way than the one under test.
std::uint32_t slow_crc(std::string_view bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1U) != 0 ? crc >> 1 ^ 0xedb88320U : crc >> 1;
    }
  }
  return ~crc;
}

void put_big_endian(std::string& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) {
    bytes[at + i] = static_cast<char>(value >> (24 - 8 * i) & 0xffU);
  }
}

TEST(Image, HugePngIsRefusedFromItsHeader) {
  const TempFolder folder;
  write_png(folder / "a.png", pattern(30), 6, 5, 1);
  std::string bytes = bytes_of(folder / "a.png");
  put_big_endian(bytes, 16, 60000);
  put_big_endian(bytes, 20, 60000);
  put_big_endian(bytes, 29, slow_crc(std::string_view(bytes).substr(12, 17)));
  write_bytes(folder / "bomb.png", bytes);
  rusage before{}, after{};
  ::getrusage(RUSAGE_SELF, &before);
  EXPECT_THAT(error_of([&] { std::ignore = read_grey8_image(folder / "bomb.png"); }),
              HasSubstr("bomb.png': its header says 60000 x 60000 pixels"));
  ::getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 50'000);  // kB
}

TEST(Image, EveryDamagedPngIsRefusedSilently) {
  const TempFolder folder;
  write_png(folder / "a.png", pattern(1200), 40, 30, 1);
  const std::string good = bytes_of(folder / "a.png");
  testing::internal::CaptureStderr();
  for (std::size_t size = 0; size < good.size(); size += 7) {
    write_bytes(folder / "b.png", good.substr(0, size));
    EXPECT_THAT(error_of([&] { std::ignore = read_grey8_image(folder / "b.png"); }), HasSubstr("b.png'")) << size;
  }
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    write_bytes(folder / "b.png", bad);
    EXPECT_THAT(error_of([&] { std::ignore = read_grey8_image(folder / "b.png"); }), HasSubstr("b.png'")) << i;
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Image, JpegIsReadAsRgbAndTruncationIsFound) {
  const TempFolder folder;
  std::vector<std::uint8_t> blue;
  for (int i = 0; i < 48 * 64; ++i) {
    blue.insert(blue.end(), {20, 10, 250});
  }
  const std::string bytes = test::jpeg_file(blue, 48, 64, 3);
  write_bytes(folder / "a.jpg", bytes);
  const auto image = read_rgb_image(folder / "a.jpg");
  ASSERT_EQ(image.height, 48);
  ASSERT_EQ(image.width, 64);
  EXPECT_NEAR(image.pixels[0], 20, 4);
  EXPECT_NEAR(image.pixels[2], 250, 4);
  for (std::size_t size = 0; size < bytes.size(); size += 5) {
    write_bytes(folder / "b.jpg", bytes.substr(0, size));
    EXPECT_THAT(error_of([&] { std::ignore = read_rgb_image(folder / "b.jpg"); }), HasSubstr("b.jpg'")) << size;
  }
}

TEST(Hdf5, FilesThatAreNoneAreNamed) {
  const TempFolder folder;
  EXPECT_THAT(error_of([&] { std::ignore = open_hdf5(folder / "none.h5"); }), HasSubstr("none.h5': No such file"));
  write_bytes(folder / "text.h5", "hello");
  EXPECT_THAT(error_of([&] { std::ignore = open_hdf5(folder / "text.h5"); }),
              HasSubstr("text.h5': found text (\"hello\"), an HDF5 file is expected"));
  testing::internal::CaptureStderr();
  write_bytes(folder / "torn.h5", std::string("\x89HDF\r\n\x1a\n", 8) + std::string(100, '\0'));
  EXPECT_THAT(error_of([&] { std::ignore = open_hdf5(folder / "torn.h5"); }),
              HasSubstr("torn.h5': truncated or damaged"));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Hdf5, AttributesRoundTripAndFaults) {
  const TempFolder folder;
  {
    const Hdf5Handle file = create_hdf5(folder / "a.h5", "a.h5");
    write_attribute(file.get(), "text", std::string_view("a text"));
    write_attribute(file.get(), "count", std::int64_t{7});
    write_attribute(file.get(), "names", std::vector<std::string>{"x", "", "größe"});
    write_attribute(file.get(), "pair", std::span<const double>(std::array{0.1, 2.0}));
  }
  const Hdf5Handle file = open_hdf5(folder / "a.h5");
  EXPECT_EQ(read_string_attribute(file.get(), "text", "f"), "a text");
  EXPECT_EQ(read_int_attribute(file.get(), "count", "f"), 7);
  EXPECT_THAT(read_strings_attribute(file.get(), "names", "f"), ElementsAre("x", "", "größe"));
  EXPECT_THAT(read_double_attribute(file.get(), "pair", 2, "f"), ElementsAre(0.1, 2.0));
  EXPECT_EQ(error_of([&] { std::ignore = read_int_attribute(file.get(), "nothing", "f"); }),
            "f: attribute 'nothing' is missing");
  EXPECT_EQ(error_of([&] { std::ignore = read_int_attribute(file.get(), "text", "f"); }),
            "f: attribute 'text' holds 1 text(s), one whole number is expected");
  EXPECT_THAT(error_of([&] { std::ignore = read_double_attribute(file.get(), "pair", 3, "f"); }),
              HasSubstr("3 number(s) is expected"));
}

}  // namespace
}  // namespace xtasc::io
