#include "io/content.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <span>

#include "io/image/jpeg.hpp"
#include "io/image/png.hpp"

namespace xtasc::io {

namespace {

/// Formats of other files by their first bytes, which are `magic` from `at` on. Sources: each format's
/// specification; ISO/IEC 14496-12, 4.3 (ftyp) for those of HEIF.
struct OtherFormat {
  std::size_t at;
  std::string_view magic, name;
};
constexpr OtherFormat kOtherPictures[] = {
    {0, {"II*\0", 4}, "TIFF"},
    {0, {"MM\0*", 4}, "TIFF"},
    {0, {"II+\0", 4}, "BigTIFF"},
    {0, {"MM\0+", 4}, "BigTIFF"},
    {0, "GIF8", "GIF"},
    {8, "WEBP", "WebP"},
    {4, "ftypavi", "AVIF"},
    {4, "ftyphei", "HEIC"},
    {4, "ftyphev", "HEIC"},
    {4, "ftypmif1", "HEIF"},
    {4, "ftypmsf1", "HEIF"},
    {0, {"\0\0\0\x0cjP  \r\n\x87\n", 12}, "JPEG 2000"},
    {0, "\xff\x4f\xff\x51", "JPEG 2000"},
    {0, {"\0\0\0\x0cJXL \r\n\x87\n", 12}, "JPEG XL"},
    {0, "\xff\x0a", "JPEG XL"},
    {0, "8BPS", "Photoshop"},
    {0, "\x76\x2f\x31\x01", "OpenEXR"},
    {0, "#?RADIANCE", "Radiance HDR"},
    {0, "PF\n", "PFM"},
    {0, "Pf\n", "PFM"},
};

/// Other files that are taken for what is read here.
constexpr OtherFormat kOtherKinds[] = {
    {0, "\x89HDF\r\n\x1a\n", "an HDF5 file"},
    {0, "\x93NUMPY", "a NumPy array (.npy)"},
    {0, "MATLAB 5.0", "a MATLAB file"},
    {0, "PK\x03\x04", "a zip archive"},
    {0, "\x1f\x8b", "a gzip archive"},
    {0, "%PDF-", "a PDF document"},
    {4, "ftyp", "a video (MP4)"},
    {8, "AVI ", "a video (AVI)"},
    {0, "\x1a\x45\xdf\xa3", "a video (Matroska, WebM)"},
};

/// The one of these that the bytes begin as; empty where it is none.
std::string_view name_among(std::span<const OtherFormat> formats, std::string_view bytes) {
  const auto found = std::ranges::find_if(formats, [bytes](const OtherFormat& format) {
    return bytes.size() > format.at && bytes.substr(format.at).starts_with(format.magic);
  });
  return found == formats.end() ? "" : found->name;
}

}  // namespace

std::string_view picture_format(std::string_view bytes) {
  const auto begins = [bytes](std::string_view magic) { return bytes.starts_with(magic); };
  if (const std::string_view name = name_among(kOtherPictures, bytes); !name.empty()) {
    return name;
  }
  const bool is_netpbm = bytes.size() > 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7' &&
                         std::isspace(static_cast<unsigned char>(bytes[2])) != 0;
  constexpr std::size_t kReserved = 6;  // four bytes of zeros, behind the magic and the file's size
  const bool is_bmp =
      begins("BM") && bytes.size() > kReserved + 4 && bytes.substr(kReserved, 4) == std::string_view("\0\0\0\0", 4);
  return is_netpbm ? "Netpbm" : is_bmp ? "BMP" : "";
}

bool is_npz(std::string_view bytes) {
  constexpr std::size_t kNameLength = 26, kName = 30;
  if (!bytes.starts_with("PK\x03\x04") || bytes.size() < kName) {
    return false;
  }
  const auto byte = [bytes](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(bytes[at])); };
  return bytes.substr(kName, byte(kNameLength) + 256 * byte(kNameLength + 1)).ends_with(".npy");
}

std::string describe_content(std::string_view first_bytes) {
  if (first_bytes.empty()) {
    return "an empty file";
  }
  if (first_bytes.starts_with("version https://git-lfs")) {
    return "a Git LFS pointer instead of the file (run `git lfs pull`)";
  }
  if (is_png(first_bytes)) {
    return "a PNG image";
  }
  if (first_bytes.starts_with(kJpegMagic)) {
    return "a JPEG image";
  }
  if (const std::string_view format = picture_format(first_bytes); !format.empty()) {
    return fmt::format("a picture of the format {}", format);
  }
  if (is_npz(first_bytes)) {
    return "NumPy arrays (.npz)";
  }
  if (const std::string_view kind = name_among(kOtherKinds, first_bytes); !kind.empty()) {
    return std::string(kind);
  }
  const auto head = first_bytes.substr(0, 32);
  const bool is_text = std::all_of(head.begin(), head.end(), [](unsigned char c) {
    return std::isprint(c) != 0 || c == '\n' || c == '\r' || c == '\t';
  });
  return is_text ? fmt::format("text (\"{}\")", head.substr(0, head.find_first_of("\r\n"))) : "unknown bytes";
}

}  // namespace xtasc::io
