#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "figure/panel.hpp"

namespace xtasc::figure {

/// A rectangle of the picture, in pixels.
struct Area {
  int x = 0, y = 0, width = 0, height = 0;
};

struct LegendEntry {
  Area patch;
  std::string text;
  Rgb color{};
};

struct ColorBar {
  Area area;
  std::size_t scale = 0;  ///< index of PanelOptions::scales
};

/// The row's map in a column; null where it has none.
[[nodiscard]] const Map* map_of(const PanelRow& row, std::size_t column);

/// Where everything of a panel lies; pixels from the top left corner.
struct PanelLayout {
  int width = 0, height = 0;
  int magnification = 1;                 ///< each pixel of a sample becomes a square of this side
  std::vector<std::size_t> columns;      ///< indices of PanelOptions::columns: those that at least one row has
  Area title;                            ///< height 0 without a title
  std::vector<Area> heads;               ///< the image's, then by column
  std::vector<Area> captions;            ///< by row
  std::vector<std::vector<Area>> cells;  ///< by row; within it as `heads`
  std::vector<LegendEntry> legend;       ///< of the palettes and normals shown, one below the other
  std::vector<ColorBar> color_bars;      ///< of the scales shown, one below the other

  static constexpr double kTextScale = 0.45, kTitleScale = 0.6;
};

[[nodiscard]] PanelLayout lay_out_panel(const std::vector<PanelRow>& rows, const PanelOptions& options);

/// `text` as it can be drawn (ASCII) within `width` pixels: what is too long loses its middle, "leftImg8bit/...19.png".
[[nodiscard]] std::string fit_text(const std::string& text, int width, double scale);

/// The width of drawn text in pixels.
[[nodiscard]] int text_width(const std::string& text, double scale);

}  // namespace xtasc::figure
