#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace xtasc::figure {

using Rgb = std::array<std::uint8_t, 3>;

/// One row of a panel. All spans are height x width, row-major; absent parts leave their column out when no row has it.
struct PanelRow {
  std::string caption;                                                       ///< e.g. the sample's name
  std::span<const std::uint8_t> image;                                       ///< height x width x 3 RGB
  std::optional<std::span<const std::uint8_t>> true_label, predicted_label;  ///< class id, 255 = ignored
  std::optional<std::span<const float>> true_depth, predicted_depth;         ///< 0 (or less) = invalid in true_depth
  /// Ground truth of a second label set, with classes of its own.
  std::optional<std::span<const std::uint8_t>> second_label = std::nullopt;
};

/// What stands above the columns of the ground truth.
struct ColumnHeads {
  std::string true_label = "labels: truth", true_depth = "depth: truth", second_label = "labels: truth (second set)";
};

/// How ignored labels and pixels without depth are drawn.
enum class InvalidPixels { grey, black };

inline constexpr Rgb kInvalidColor{128, 128, 128};

[[nodiscard]] constexpr Rgb color_of(InvalidPixels invalid) {
  return invalid == InvalidPixels::grey ? kInvalidColor : Rgb{0, 0, 0};
}

struct PanelOptions {
  std::int64_t height = 0, width = 0;  ///< of every row
  std::vector<std::string> class_names;
  std::vector<Rgb> class_colors;
  std::string depth_unit;  ///< "m" or "inverse depth": legend text of the colour bar
  std::string title;       ///< may be empty
  /// Classes of second_label; empty without one.
  std::vector<std::string> second_class_names = {};
  std::vector<Rgb> second_class_colors = {};
  ColumnHeads heads = {};
  InvalidPixels invalid = InvalidPixels::grey;
};

/// A picture: a row per sample (image | labels true | second label set | labels predicted | depth true | depth
/// predicted), column heads, class legends with colour patches, and a colour bar with the depth range, common to all
/// rows; depth in a perceptual colour map (viridis), invalid depth and ignored labels in a neutral grey, or black.
/// Written atomically as PNG. \throws Error when sizes disagree or the file cannot be written.
void write_panel(const std::filesystem::path& path, const std::vector<PanelRow>& rows, const PanelOptions& options);

}  // namespace xtasc::figure
