#include "preprocess/datasets/normals_png.hpp"

#include <cmath>

#include "core/error.hpp"

namespace xtasc::preprocess {

namespace {

constexpr double kShortest = 0.1;         ///< of a vector that has a direction
constexpr double kLengthTolerance = 0.2;  ///< 8 bits are within 0.007; the rest is for files that were resized

io::ImageRules upright(io::ImageRules rules) {
  rules.orientation = io::Orientation::refuse;
  rules.turn_advice = "normals that are stored upright are expected";
  return rules;
}

}  // namespace

void check_normals_files(const NormalsFiles& files, io::ImageRules rules,
                         io::ImageHeader (*read_header)(const std::filesystem::path&)) {
  const io::ImageRules wanted = upright(std::move(rules));
  const io::ImageHeader header = read_header(files.normals);
  const bool is_rgb =
      header.format == io::ImageHeader::Format::png && header.channels == 3 && !header.palette && header.bit_depth == 8;
  check(is_rgb, "cannot use '{}': {} of {} channel{} of {} bits{}, a PNG of 3 channels of 8 bits is expected",
        files.normals.string(), header.format == io::ImageHeader::Format::png ? "a PNG" : "a JPEG", header.channels,
        header.channels == 1 ? "" : "s", header.bit_depth, header.palette ? " with a palette" : "");
  io::check_image_rules(header, wanted, files.normals);
  if (!files.mask.empty()) {
    const io::ImageHeader mask = read_header(files.mask);
    io::check_label_png(mask, files.mask);
    io::check_image_rules(mask, wanted, files.mask);
  }
}

std::vector<std::int16_t> read_normals_files(const NormalsFiles& files, io::ImageRules rules, const AxisSigns& signs) {
  rules = upright(std::move(rules));
  const io::Image<std::uint8_t> image = io::read_rgb_image(files.normals, rules);
  io::Image<std::uint8_t> mask;
  if (!files.mask.empty()) {
    mask = io::read_label_image(files.mask, rules);
  }
  std::vector<std::int16_t> normals(image.pixels.size(), 0);
  for (std::size_t i = 0; i < normals.size(); i += 3) {
    std::array<double, 3> n{};
    for (std::size_t c = 0; c < 3; ++c) {
      n[c] = signs[c] * (2.0 * image.pixels[i + c] / 255.0 - 1.0);
    }
    if (!mask.pixels.empty() && mask.pixels[i / 3] == 0) {
      continue;
    }
    const double length = std::sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
    if (std::abs(length - 1.0) <= kLengthTolerance) {
      store_normal(n[0], n[1], n[2], &normals[i]);
    } else if (length >= kShortest && mask.pixels.empty()) {
      const auto width = static_cast<std::size_t>(image.width);
      fail(
          "cannot use '{}': a vector of length {:.3f} at row {}, column {}; unit vectors are expected, or shorter than "
          "{} where there is none",
          files.normals.string(), length, i / 3 / width, i / 3 % width, kShortest);
    } else if (!mask.pixels.empty()) {
      const auto width = static_cast<std::size_t>(image.width);
      fail(
          "cannot use '{}': a vector of length {:.3f} at row {}, column {}, which '{}' calls valid; unit vectors are "
          "expected",
          files.normals.string(), length, i / 3 / width, i / 3 % width, files.mask.string());
    }
  }
  return normals;
}

}  // namespace xtasc::preprocess
