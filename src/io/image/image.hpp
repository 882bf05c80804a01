#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace xtasc::io {

/// What the first bytes of a PNG or JPEG file say, before anything is decoded.
struct ImageHeader {
  enum class Format { png, jpeg };
  Format format = Format::png;
  std::int64_t height = 0;
  std::int64_t width = 0;
  int channels = 0;   ///< 1 grey, 2 grey + alpha, 3 RGB (also a palette's colours), 4 RGB + alpha or CMYK
  int bit_depth = 0;  ///< bits of one channel: 1, 2, 4, 8 or 16
  bool palette = false;
  int orientation = 1;  ///< as EXIF numbers it: 1 upright ... 8; 1 as well where no EXIF says anything that makes sense
};

/// What becomes of a picture of which EXIF says that it is not upright. Viewers and OpenCV turn it; the pixels of its
/// label and depth lie where the program that made them saw those of the picture: only the user knows.
enum class Orientation { refuse, apply, ignore };

/// What is accepted of an image file; judged from its header, so that a small file cannot ask for much memory.
struct ImageRules {
  std::optional<std::int64_t> height{}, width{};    ///< exact size, when known
  std::int64_t max_pixels = std::int64_t{1} << 25;  ///< upper bound where the size is not known: 4096 x 8192
  /// All that is said of sizes is meant of the picture as it is used: turned, with `apply`.
  Orientation orientation = Orientation::refuse;
  std::string turn_advice = "an upright image is expected";  ///< ends the error of `refuse`
  std::string swapped_advice{};  ///< ends the error of a size whose height and width would fit if they changed places
};

/// Pixels of an image, row by row, channels interleaved.
template <typename T>
struct Image {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 0;
  std::vector<T> pixels;  ///< height x width x channels
  int orientation = 1;    ///< what the file's EXIF says of the stored pixels, whatever became of it
  std::string remark{};   ///< what is odd about the file and harmless to its pixels; empty: nothing
};

/// What is said of pictures with remarks: how many there are, and the first one's.
[[nodiscard]] std::string remarks_text(std::size_t num_pictures, const std::string& first);

/// The pixels to keep of an image: those in both a listed row and a listed column. Ascending, a number may come twice;
/// an empty list means all. A PNG decoder saves much of its work when most rows are not wanted.
struct Selection {
  std::vector<std::int64_t> rows, columns;
};

/// Reads the header alone. An EXIF block that stands behind the first 64 KiB of a file, as that of a PNG may, is not
/// seen: reading the image finds it.
/// \throws Error  when the file is missing, a folder, empty, a Git LFS pointer, neither PNG nor JPEG.
[[nodiscard]] ImageHeader read_image_header(const std::filesystem::path& path);
/// As read_image_header, but looks through the whole file for an EXIF block.
[[nodiscard]] ImageHeader read_whole_image_header(const std::filesystem::path& path);

/// \throws Error  naming the file, what its header says and what `rules`
/// accept: a picture that EXIF turns, a wrong size.
void check_image_rules(const ImageHeader& header, const ImageRules& rules, const std::filesystem::path& path);
/// \throws Error  unless the file is a PNG of one grey channel of `bit_depth` (8 or 16) bits, without a palette:
/// everything else would be converted on reading and its values would change.
void check_grey_png(const ImageHeader& header, int bit_depth, const std::filesystem::path& path);
/// \throws Error  unless the file is a PNG of one number a pixel, of 8 bits at most: grey, or indices of a palette.
void check_label_png(const ImageHeader& header, const std::filesystem::path& path);
/// \throws Error  where read_rgb_image() reads no such picture: of 16 bits a channel.
void check_picture(const ImageHeader& header, const std::filesystem::path& path);

/// A colour picture (PNG or JPEG of 8 bits a channel) as H x W x 3 RGB; grey is spread to RGB, alpha dropped.
/// Every byte of a PNG is checked against its CRCs; a JPEG must be whole up to its end mark and decode without a
/// warning that could hide lost pixels; what else is odd about it becomes the image's remark. \throws Error  naming the
/// file: as read_image_header and check_image_rules, or 16 bits, truncated, damaged.
[[nodiscard]] Image<std::uint8_t> read_rgb_image(const std::filesystem::path& path, const ImageRules& rules = {},
                                                 const Selection& selection = {});
/// A PNG of one channel of 8 bits, values as stored (labels, coarse depth). \throws Error as read_rgb_image.
[[nodiscard]] Image<std::uint8_t> read_grey8_image(const std::filesystem::path& path, const ImageRules& rules = {},
                                                   const Selection& selection = {});
/// As read_grey8_image, also a PNG of 1, 2 or 4 bits and one with a palette: of each pixel the number that is stored,
/// whatever its colour is. \throws Error as check_label_png and read_rgb_image.
[[nodiscard]] Image<std::uint8_t> read_label_image(const std::filesystem::path& path, const ImageRules& rules = {},
                                                   const Selection& selection = {});
/// A PNG of one channel of 16 bits, values as stored (depth, disparity). \throws Error as read_rgb_image.
[[nodiscard]] Image<std::uint16_t> read_grey16_image(const std::filesystem::path& path, const ImageRules& rules = {},
                                                     const Selection& selection = {});

/// How a PNG is packed. quick: one filter and runs of equal bytes, for what programs show; thorough: libpng's choice of
/// filters and zlib's level 6, as most PNGs are.
enum class PngEffort { quick, thorough };

/// Writes a PNG atomically. \param pixels  height x width x channels, channels 1 (grey) or 3 (RGB).
/// \throws Error  with the path and the reason.
void write_png(const std::filesystem::path& path, std::span<const std::uint8_t> pixels, std::int64_t height,
               std::int64_t width, std::int64_t channels, PngEffort effort = PngEffort::quick);
/// As above, one grey channel of 16 bits.
void write_png(const std::filesystem::path& path, std::span<const std::uint16_t> pixels, std::int64_t height,
               std::int64_t width, PngEffort effort = PngEffort::quick);

}  // namespace xtasc::io
