#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace xtasc::figure {

using Rgb = std::array<std::uint8_t, 3>;

/// Class ids, 255 = ignored, painted by a palette; or numbers, painted by the colour map: height x width, row-major. Or
/// normals, 3 x height x width, in the camera's axes (x right, y down, z into the scene) and of any length.
using Map = std::variant<std::span<const std::uint8_t>, std::span<const float>>;

/// One row of a panel.
struct PanelRow {
  std::string caption;                   ///< e.g. the sample's name
  std::span<const std::uint8_t> image;   ///< height x width x 3 RGB
  std::vector<std::optional<Map>> maps;  ///< by PanelOptions::columns; fewer: those at the end are absent
};

/// The names and colours of some classes: as many of one as of the other.
struct Palette {
  std::vector<std::string> names;
  std::vector<Rgb> colors;
};

/// What numbers that share a range are: the text above their colour bar, "depth [m]".
struct Scale {
  std::string text;
};

enum class MapKind { classes, numbers, normals };

/// A column of maps.
struct PanelColumn {
  std::string head;       ///< what stands above it
  std::string part = {};  ///< what it is, for messages: "the true label"
  MapKind kind = MapKind::numbers;
  std::size_t paint = 0;     ///< index of its palette, or of its scale; normals have neither
  bool has_invalid = false;  ///< numbers: 0 or less is invalid, and the scale's range is that of such columns; normals:
                             ///< 0 0 0 is invalid
};

/// How ignored labels and pixels without a valid number are drawn.
enum class InvalidPixels { grey, black };

inline constexpr Rgb kInvalidColor{128, 128, 128};

/// A normal's colour, (n + 1) / 2: red counts to the right, green up, blue to the camera, as in the normal maps of
/// renderers: a wall that faces the camera is light blue, a floor green. \param x, y, z  in the camera's axes, of any
/// length
[[nodiscard]] Rgb color_of_normal(float x, float y, float z);

[[nodiscard]] constexpr Rgb color_of(InvalidPixels invalid) {
  return invalid == InvalidPixels::grey ? kInvalidColor : Rgb{0, 0, 0};
}

struct PanelOptions {
  std::int64_t height = 0, width = 0;  ///< of every row
  std::vector<PanelColumn> columns;    ///< right of the image, from left to right; left out where no row has the map
  std::vector<Palette> palettes;
  std::vector<Scale> scales;
  std::string title = {};  ///< may be empty
  InvalidPixels invalid = InvalidPixels::grey;
};

/// Numbers shown by the two ends of the colour map; what lies outside takes the colour of the nearer end.
struct ValueRange {
  float low = 0, high = 1;
};

/// The 1st to 99th percentile of some numbers: a few wild pixels would leave all others in one colour.
[[nodiscard]] ValueRange range_of(std::vector<float> values);

/// The map as a panel paints it: height x width x 3 RGB. \param colors  by class; of a column of classes \param range
/// of a column of numbers
[[nodiscard]] std::vector<std::uint8_t> colored(const Map& map, const PanelColumn& column,
                                                const std::vector<Rgb>& colors, const ValueRange& range,
                                                InvalidPixels invalid);

/// A picture: a row per sample, the image and its maps; column heads, a legend with colour patches a palette, and a
/// colour bar a scale with its range, common to all rows; numbers in a perceptual colour map (viridis), invalid ones
/// and ignored labels in a neutral grey, or black; normals as color_of_normal() has them, with a legend. Written
/// atomically as PNG. \throws Error when sizes disagree or the file cannot be written.
void write_panel(const std::filesystem::path& path, const std::vector<PanelRow>& rows, const PanelOptions& options);

/// A PNG of RGB in memory.
struct Picture {
  std::vector<std::byte> png;
  std::int64_t height = 0, width = 0;
};
/// The same picture. \param name  of it, for messages
[[nodiscard]] Picture encode_panel(const std::string& name, const std::vector<PanelRow>& rows,
                                   const PanelOptions& options);

}  // namespace xtasc::figure
