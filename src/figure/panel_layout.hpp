#pragma once

#include <string>
#include <vector>

#include "figure/panel.hpp"

namespace xtasc::figure {

enum class PanelColumn { image, true_label, second_label, predicted_label, true_depth, predicted_depth };

/// A rectangle of the picture, in pixels.
struct Area {
  int x = 0, y = 0, width = 0, height = 0;
};

struct LegendEntry {
  Area patch;
  std::string text;
  Rgb color{};
};

/// Where everything of a panel lies; pixels from the top left corner.
struct PanelLayout {
  int width = 0, height = 0;
  int magnification = 1;                 ///< each pixel of a sample becomes a square of this side
  std::vector<PanelColumn> columns;      ///< those that at least one row has
  Area title;                            ///< height 0 without a title
  std::vector<Area> heads;               ///< by column
  std::vector<Area> captions;            ///< by row
  std::vector<std::vector<Area>> cells;  ///< by row, then column
  std::vector<LegendEntry> legend;       ///< of all label sets, one below the other; empty when there are no labels
  Area color_bar;                        ///< width 0 when there is no depth

  static constexpr double kTextScale = 0.45, kTitleScale = 0.6;
};

[[nodiscard]] PanelLayout lay_out_panel(const std::vector<PanelRow>& rows, const PanelOptions& options);

/// `text` as it can be drawn (ASCII) within `width` pixels: what is too long loses its middle, "leftImg8bit/...19.png".
[[nodiscard]] std::string fit_text(const std::string& text, int width, double scale);

/// The width of drawn text in pixels.
[[nodiscard]] int text_width(const std::string& text, double scale);

}  // namespace xtasc::figure
