#include "figure/panel_layout.hpp"

#include <algorithm>
#include <opencv2/imgproc.hpp>

namespace xtasc::figure {
namespace {

constexpr int kMargin = 12;
constexpr int kGap = 6;
constexpr int kLine = 20;
constexpr int kTitleLine = 28;
constexpr int kPatch = 14;
constexpr int kMinCellWidth = 256;
constexpr int kBarWidth = 260;
constexpr int kBarHeight = 14;

/// Colours of normals along the axes.
Palette normals_palette() {
  return {{"normal to the right", "up", "to the camera"},
          {color_of_normal(1, 0, 0), color_of_normal(0, -1, 0), color_of_normal(0, 0, -1)}};
}

/// Patches from left to right, wrapped at the content's right edge. \param last  what pixels of the invalid colour are
/// called \returns the y below them.
int lay_out_legend(PanelLayout& layout, const Palette& palette, const std::string& last, InvalidPixels invalid, int y) {
  const int right = layout.width - kMargin;
  int x = kMargin;
  const auto place = [&](const std::string& name, const Rgb& color) {
    const int room = right - kMargin - kPatch - kGap;
    const std::string text = fit_text(name, room, PanelLayout::kTextScale);
    const int width = kPatch + kGap + text_width(text, PanelLayout::kTextScale);
    if (x > kMargin && x + width > right) {
      x = kMargin;
      y += kLine;
    }
    layout.legend.push_back({{x, y + (kLine - kPatch) / 2, kPatch, kPatch}, text, color});
    x += width + 3 * kGap;
  };
  for (std::size_t i = 0; i < palette.names.size(); ++i) {
    place(palette.names[i], palette.colors[i]);
  }
  place(last, color_of(invalid));
  return y + kLine;
}

}  // namespace

const Map* map_of(const PanelRow& row, std::size_t column) {
  return column < row.maps.size() && row.maps[column] ? &*row.maps[column] : nullptr;
}

int text_width(const std::string& text, double scale) {
  int baseline = 0;
  return cv::getTextSize(text, cv::FONT_HERSHEY_SIMPLEX, scale, 1, &baseline).width;
}

std::string fit_text(const std::string& text, int width, double scale) {
  std::string drawable;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      drawable += c;
    } else if (byte < 0x80 || byte >= 0xc0) {
      drawable += '?';  // once for each character of several bytes, not for those that continue it
    }
  }
  if (text_width(drawable, scale) <= width) {
    return drawable;
  }
  for (std::size_t kept = drawable.size(); kept > 0; --kept) {
    // The end of a sample's name tells more than its beginning.
    const std::size_t head = kept / 3;
    const std::string shorter = drawable.substr(0, head) + "..." + drawable.substr(drawable.size() - (kept - head));
    if (text_width(shorter, scale) <= width) {
      return shorter;
    }
  }
  return {};
}

PanelLayout lay_out_panel(const std::vector<PanelRow>& rows, const PanelOptions& options) {
  PanelLayout layout;
  const int image_width = static_cast<int>(options.width);
  layout.magnification = (kMinCellWidth + image_width - 1) / image_width;
  for (std::size_t column = 0; column < options.columns.size(); ++column) {
    if (std::ranges::any_of(rows, [&](const PanelRow& row) { return map_of(row, column) != nullptr; })) {
      layout.columns.push_back(column);
    }
  }
  const int num_columns = 1 + static_cast<int>(layout.columns.size());
  const int cell_width = image_width * layout.magnification;
  const int cell_height = static_cast<int>(options.height) * layout.magnification;
  const int content_width = num_columns * cell_width + (num_columns - 1) * kGap;
  layout.width = content_width + 2 * kMargin;

  int y = kMargin;
  layout.title = {kMargin, y, content_width, options.title.empty() ? 0 : kTitleLine};
  y += layout.title.height;
  for (int i = 0; i < num_columns; ++i) {
    layout.heads.push_back({kMargin + i * (cell_width + kGap), y, cell_width, kLine});
  }
  y += kLine + kGap;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    layout.captions.push_back({kMargin, y, content_width, kLine});
    y += kLine;
    std::vector<Area> cells;
    for (const Area& head : layout.heads) {
      cells.push_back({head.x, y, cell_width, cell_height});
    }
    layout.cells.push_back(std::move(cells));
    y += cell_height + kGap;
  }
  const auto shows = [&](MapKind kind, std::size_t paint) {
    return std::ranges::any_of(layout.columns, [&](std::size_t index) {
      const PanelColumn& column = options.columns[index];
      return column.kind == kind && column.paint == paint;
    });
  };
  for (std::size_t palette = 0; palette < options.palettes.size(); ++palette) {
    if (shows(MapKind::classes, palette)) {
      y = lay_out_legend(layout, options.palettes[palette], "ignored", options.invalid, y + kGap);
    }
  }
  if (shows(MapKind::normals, 0)) {
    y = lay_out_legend(layout, normals_palette(), "no normal", options.invalid, y + kGap);
  }
  for (std::size_t scale = 0; scale < options.scales.size(); ++scale) {
    if (shows(MapKind::numbers, scale)) {
      y += kGap + kLine;  // the bar's text stands above it, its range below
      layout.color_bars.push_back({{kMargin, y, std::min(kBarWidth, content_width), kBarHeight}, scale});
      y += kBarHeight + kLine;
    }
  }
  layout.height = y + kMargin;
  return layout;
}

}  // namespace xtasc::figure
