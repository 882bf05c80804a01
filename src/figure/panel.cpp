#include "figure/panel.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <opencv2/imgproc.hpp>
#include <utility>

#include "core/error.hpp"
#include "figure/panel_layout.hpp"
#include "io/image/image.hpp"
#include "io/image/png_encode.hpp"

namespace xtasc::figure {
namespace {

constexpr std::uint8_t kIgnoredLabel = 255;
constexpr std::int64_t kMaxPictureSide = 60000;  // of a PNG that common viewers open

void check_size(const std::string& caption, const std::string& part, std::size_t found, std::size_t expected) {
  check(found == expected, "panel row '{}': {} has {} values, expected {} for the panel's height and width", caption,
        part, found, expected);
}

void check_labels(const PanelRow& row, const std::string& part, std::span<const std::uint8_t> labels,
                  std::size_t classes) {
  for (const std::uint8_t label : labels) {
    check(label < classes || label == kIgnoredLabel, "panel row '{}': {} holds class {}, expected 0 .. {} or {}",
          row.caption, part, label, static_cast<std::int64_t>(classes) - 1, kIgnoredLabel);
  }
}

using Classes = std::span<const std::uint8_t>;
using Numbers = std::span<const float>;

void check_input(const std::vector<PanelRow>& rows, const PanelOptions& options) {
  check(!rows.empty(), "a panel needs at least one row");
  check(
      options.height > 0 && options.width > 0 && options.height <= kMaxPictureSide && options.width <= kMaxPictureSide,
      "panel rows of {} x {} pixels: height and width must be 1 .. {}", options.height, options.width, kMaxPictureSide);
  for (const Palette& palette : options.palettes) {
    check(palette.names.size() == palette.colors.size(), "panel: {} class names but {} class colours",
          palette.names.size(), palette.colors.size());
  }
  for (const PanelColumn& column : options.columns) {
    check(column.kind == MapKind::normals ||
              column.paint < (column.kind == MapKind::classes ? options.palettes.size() : options.scales.size()),
          "panel: {} has no palette or scale", column.part);
  }
  const std::size_t pixels = static_cast<std::size_t>(options.height) * static_cast<std::size_t>(options.width);
  for (const PanelRow& row : rows) {
    check_size(row.caption, "the image", row.image.size(), 3 * pixels);
    for (std::size_t i = 0; i < options.columns.size(); ++i) {
      const PanelColumn& column = options.columns[i];
      if (const Map* map = map_of(row, i)) {
        const bool has_classes = column.kind == MapKind::classes;
        check(std::holds_alternative<Classes>(*map) == has_classes, "panel row '{}': {} must hold {}", row.caption,
              column.part, has_classes ? "class ids" : "numbers");
        check_size(row.caption, column.part, std::visit([](const auto& values) { return values.size(); }, *map),
                   (column.kind == MapKind::normals ? 3 : 1) * pixels);
        if (has_classes) {
          check_labels(row, column.part, std::get<Classes>(*map), options.palettes[column.paint].names.size());
        }
      }
    }
  }
}

/// The finite values, above `floor`, of a scale's columns in all rows. \param has_invalid  of which columns
std::vector<float> collect_values(const std::vector<PanelRow>& rows, const PanelOptions& options, std::size_t scale,
                                  bool has_invalid, float floor) {
  std::vector<float> values;
  for (const PanelRow& row : rows) {
    for (std::size_t i = 0; i < options.columns.size(); ++i) {
      const PanelColumn& column = options.columns[i];
      const Map* map = map_of(row, i);
      if (map != nullptr && column.kind == MapKind::numbers && column.paint == scale &&
          column.has_invalid == has_invalid) {
        const Numbers numbers = std::get<Numbers>(*map);
        std::copy_if(numbers.begin(), numbers.end(), std::back_inserter(values),
                     [floor](float value) { return std::isfinite(value) && value > floor; });
      }
    }
  }
  return values;
}

/// The 1st to 99th percentile of what is true, or where nothing is, of what was predicted: a few wild pixels would
/// leave all others in one colour.
ValueRange find_range(const std::vector<PanelRow>& rows, const PanelOptions& options, std::size_t scale) {
  std::vector<float> values = collect_values(rows, options, scale, /*has_invalid=*/true, 0.0F);
  if (values.empty()) {
    values = collect_values(rows, options, scale, /*has_invalid=*/false, std::numeric_limits<float>::lowest());
  }
  return range_of(std::move(values));
}

cv::Scalar bgr(const Rgb& c) {
  return {static_cast<double>(c[2]), static_cast<double>(c[1]), static_cast<double>(c[0])};
}
cv::Rect rect(const Area& area) {
  return {area.x, area.y, area.width, area.height};
}

/// Viridis at 256 places, BGR.
cv::Mat viridis() {
  cv::Mat ramp(1, 256, CV_8U);
  for (int i = 0; i < 256; ++i) {
    ramp.at<std::uint8_t>(0, i) = static_cast<std::uint8_t>(i);
  }
  cv::Mat colors;
  cv::applyColorMap(ramp, colors, cv::COLORMAP_VIRIDIS);
  return colors;
}

/// Draws the parts of one panel.
class Painter {
 public:
  /// \param ranges  by scale
  Painter(const PanelLayout& layout, const PanelOptions& options, std::vector<ValueRange> ranges)
      : layout_(layout),
        options_(options),
        ranges_(std::move(ranges)),
        viridis_(viridis()),
        canvas_(layout.height, layout.width, CV_8UC3, cv::Scalar(255, 255, 255)) {}

  void draw_text(const std::string& text, const Area& area, double scale) {
    const std::string fitting = fit_text(text, area.width, scale);
    cv::putText(canvas_, fitting, {area.x, area.y + area.height - 6}, cv::FONT_HERSHEY_SIMPLEX, scale,
                cv::Scalar(40, 40, 40), 1, cv::LINE_AA);
  }

  void draw_image(const PanelRow& row, const Area& area) { draw_pixels(area, row.image); }

  void draw_map(const PanelRow& row, std::size_t index, const Area& area) {
    const PanelColumn& column = options_.columns[index];
    const Map* map = map_of(row, index);
    if (map == nullptr) {
      draw_missing(area);
      return;
    }
    const bool has_classes = column.kind == MapKind::classes, has_numbers = column.kind == MapKind::numbers;
    const std::vector<std::uint8_t> rgb =
        colored(*map, column, has_classes ? options_.palettes[column.paint].colors : std::vector<Rgb>{},
                has_numbers ? ranges_[column.paint] : ValueRange{}, options_.invalid);
    draw_pixels(area, rgb);
  }

  void draw_legend() {
    for (const LegendEntry& entry : layout_.legend) {
      cv::rectangle(canvas_, rect(entry.patch), bgr(entry.color), cv::FILLED);
      cv::rectangle(canvas_, rect(entry.patch), cv::Scalar(90, 90, 90), 1);
      const Area text{entry.patch.x + entry.patch.width + 6, entry.patch.y - 3, layout_.width, 20};
      draw_text(entry.text, text, PanelLayout::kTextScale);
    }
  }

  void draw_color_bar(const ColorBar& color_bar) {
    const Area bar = color_bar.area;
    const ValueRange& range = ranges_[color_bar.scale];
    for (int x = 0; x < bar.width; ++x) {
      const cv::Vec3b color = viridis_.at<cv::Vec3b>(0, x * 255 / std::max(1, bar.width - 1));
      canvas_(cv::Rect(bar.x + x, bar.y, 1, bar.height)).setTo(cv::Scalar(color[0], color[1], color[2]));
    }
    const std::string none = options_.invalid == InvalidPixels::grey ? " (grey: none)" : " (black: none)";
    draw_text(options_.scales[color_bar.scale].text + none, {bar.x, bar.y - 20, bar.width, 20},
              PanelLayout::kTextScale);
    for (int tick = 0; tick <= 2; ++tick) {
      const float value = range.low + (range.high - range.low) * static_cast<float>(tick) / 2;
      const std::string text = fmt::format("{:.3g}", value);
      const int shift = text_width(text, PanelLayout::kTextScale) * tick / 2;
      draw_text(text, {bar.x + bar.width * tick / 2 - shift, bar.y + bar.height, bar.width, 20},
                PanelLayout::kTextScale);
    }
  }

  [[nodiscard]] const cv::Mat& canvas() const { return canvas_; }

 private:
  void draw_pixels(const Area& area, std::span<const std::uint8_t> rgb) {
    cv::Mat small(static_cast<int>(options_.height), static_cast<int>(options_.width), CV_8UC3);
    std::size_t p = 0;
    for (int y = 0; y < small.rows; ++y) {
      for (int x = 0; x < small.cols; ++x, p += 3) {
        small.at<cv::Vec3b>(y, x) = {rgb[p + 2], rgb[p + 1], rgb[p]};
      }
    }
    cv::Mat target = canvas_(rect(area));
    cv::resize(small, target, target.size(), 0, 0, cv::INTER_NEAREST);
  }

  void draw_missing(const Area& area) {
    canvas_(rect(area)).setTo(cv::Scalar(240, 240, 240));
    draw_text("none", {area.x + 8, area.y, area.width - 8, 22}, PanelLayout::kTextScale);
  }

  const PanelLayout& layout_;
  const PanelOptions& options_;
  std::vector<ValueRange> ranges_;
  cv::Mat viridis_;
  cv::Mat canvas_;
};

/// \param name  of the panel, for messages \returns  height x width x 3 RGB
cv::Mat paint_panel(const std::string& name, const std::vector<PanelRow>& rows, const PanelOptions& options) {
  check_input(rows, options);
  const PanelLayout layout = lay_out_panel(rows, options);
  check(layout.width <= kMaxPictureSide && layout.height <= kMaxPictureSide,
        "panel {}: {} rows make a picture of {} x {} pixels, at most {} are possible on a side; use fewer rows", name,
        rows.size(), layout.width, layout.height, kMaxPictureSide);
  std::vector<ValueRange> ranges;
  for (std::size_t scale = 0; scale < options.scales.size(); ++scale) {
    ranges.push_back(find_range(rows, options, scale));
  }
  Painter painter(layout, options, std::move(ranges));
  if (layout.title.height > 0) {
    painter.draw_text(options.title, layout.title, PanelLayout::kTitleScale);
  }
  painter.draw_text("image", layout.heads.front(), PanelLayout::kTextScale);
  for (std::size_t i = 0; i < layout.columns.size(); ++i) {
    painter.draw_text(options.columns[layout.columns[i]].head, layout.heads[i + 1], PanelLayout::kTextScale);
  }
  for (std::size_t row = 0; row < rows.size(); ++row) {
    painter.draw_text(rows[row].caption, layout.captions[row], PanelLayout::kTextScale);
    painter.draw_image(rows[row], layout.cells[row].front());
    for (std::size_t i = 0; i < layout.columns.size(); ++i) {
      painter.draw_map(rows[row], layout.columns[i], layout.cells[row][i + 1]);
    }
  }
  painter.draw_legend();
  for (const ColorBar& bar : layout.color_bars) {
    painter.draw_color_bar(bar);
  }
  cv::Mat rgb;
  cv::cvtColor(painter.canvas(), rgb, cv::COLOR_BGR2RGB);
  return rgb;
}

std::span<const std::uint8_t> pixels_of(const cv::Mat& rgb) {
  return {rgb.datastart, rgb.dataend};
}

}  // namespace

ValueRange range_of(std::vector<float> values) {
  if (values.empty()) {
    return {};
  }
  std::sort(values.begin(), values.end());
  const std::size_t last = values.size() - 1;
  ValueRange range{values[last / 100], values[last - last / 100]};
  if (range.high <= range.low) {
    range.high = range.low + std::max(1e-6F, 0.01F * std::abs(range.low));
  }
  return range;
}

std::vector<std::uint8_t> colored(const Map& map, const PanelColumn& column, const std::vector<Rgb>& colors,
                                  const ValueRange& range, InvalidPixels invalid) {
  std::vector<std::uint8_t> rgb;
  const auto add = [&rgb](const Rgb& color) { rgb.insert(rgb.end(), color.begin(), color.end()); };
  switch (column.kind) {
    case MapKind::classes:
      for (const std::uint8_t label : std::get<Classes>(map)) {
        add(label == kIgnoredLabel ? color_of(invalid) : colors.at(label));
      }
      break;
    case MapKind::numbers: {
      const cv::Mat ramp = viridis();
      for (const float value : std::get<Numbers>(map)) {
        if (!std::isfinite(value) || (column.has_invalid && value <= 0)) {
          add(color_of(invalid));
          continue;
        }
        const float place = std::clamp((value - range.low) / (range.high - range.low), 0.0F, 1.0F);
        const cv::Vec3b bgr_color = ramp.at<cv::Vec3b>(0, static_cast<int>(std::lround(place * 255)));
        add({bgr_color[2], bgr_color[1], bgr_color[0]});
      }
      break;
    }
    case MapKind::normals: {
      const Numbers normals = std::get<Numbers>(map);
      const std::size_t pixels = normals.size() / 3;
      for (std::size_t p = 0; p < pixels; ++p) {
        const float x = normals[p], y = normals[pixels + p], z = normals[2 * pixels + p];
        const bool is_zero = x == 0 && y == 0 && z == 0;
        const bool is_finite = std::isfinite(x) && std::isfinite(y) && std::isfinite(z);
        add(!is_finite || (column.has_invalid && is_zero) ? color_of(invalid) : color_of_normal(x, y, z));
      }
      break;
    }
  }
  return rgb;
}

Rgb color_of_normal(float x, float y, float z) {
  const float length = std::max(std::hypot(x, y, z), 1e-12F);
  const auto channel = [length](float component) {
    return static_cast<std::uint8_t>(std::lround(127.5F * (component / length + 1.0F)));
  };
  return {channel(x), channel(-y), channel(-z)};
}

void write_panel(const std::filesystem::path& path, const std::vector<PanelRow>& rows, const PanelOptions& options) {
  const cv::Mat rgb = paint_panel(path.string(), rows, options);
  io::write_png(path, pixels_of(rgb), rgb.rows, rgb.cols, rgb.channels());
}

Picture encode_panel(const std::string& name, const std::vector<PanelRow>& rows, const PanelOptions& options) {
  const cv::Mat rgb = paint_panel(name, rows, options);
  return {io::encode_png(pixels_of(rgb), rgb.rows, rgb.cols, rgb.channels(), io::PngEffort::quick, name), rgb.rows,
          rgb.cols};
}

}  // namespace xtasc::figure
