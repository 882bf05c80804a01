#include "preprocess/show.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.hpp"
#include "figure/panel.hpp"
#include "pack/reader.hpp"

namespace xtasc::preprocess {

namespace {

/// One sample; owns what figure::PanelRow borrows.
struct Row {
  std::string caption;
  std::vector<std::uint8_t> image;
  std::vector<std::vector<std::uint8_t>> labels;  ///< by label set
  std::vector<float> depth, normals_3hw;          ///< no normals where the pack has none
  std::set<std::string, std::less<>> without;     ///< tasks of which the sample has no labels
};

Row read_row(const pack::Reader& reader, pack::Split split, std::int64_t sample, const std::string& name) {
  const pack::Schema& schema = reader.schema();
  const auto pixels = static_cast<std::size_t>(schema.height * schema.width);
  Row row;
  row.caption = fmt::format("{} {}: {}", pack::split_name(split), sample, name);
  for (const std::string& key : pack::label_keys(schema)) {
    const auto flags = reader.has_labels(split, key);
    if (!flags.empty() && flags[static_cast<std::size_t>(sample)] == 0) {
      row.without.insert(key);
    }
  }
  row.image.resize(3 * pixels);
  reader.read_images(split, sample, 1, row.image);
  for (std::size_t set = 0; set < schema.label_sets.size(); ++set) {
    reader.read_labels(split, set, sample, 1, row.labels.emplace_back(pixels));
  }
  row.depth.resize(pixels);
  if (schema.depth_type == pack::DepthType::float32) {
    reader.read_depth(split, sample, 1, std::span<float>(row.depth));
  } else {
    std::vector<std::uint16_t> stored(pixels);
    reader.read_depth(split, sample, 1, std::span<std::uint16_t>(stored));
    std::copy(stored.begin(), stored.end(), row.depth.begin());
  }
  for (float& value : row.depth) {
    value = static_cast<float>(schema.depth_scale * static_cast<double>(value));
  }
  if (schema.has_normals()) {
    std::vector<std::int16_t> stored(3 * pixels);
    reader.read_normals(split, sample, 1, stored);
    row.normals_3hw.resize(3 * pixels);
    for (std::size_t i = 0; i < stored.size(); ++i) {
      row.normals_3hw[i % 3 * pixels + i / 3] = static_cast<float>(stored[i]);
    }
  }
  return row;
}

}  // namespace

std::int64_t show_samples(const std::filesystem::path& pack, pack::Split split, std::vector<std::int64_t> samples,
                          const std::filesystem::path& output) {
  if (output.extension() != ".png") {  // never the pack itself
    fail_usage("--output {}: the picture is a PNG, a name that ends in .png is expected", output.string());
  }
  const pack::Reader reader(pack);
  const pack::Schema& schema = reader.schema();
  const std::int64_t size = reader.size(split);
  if (size == 0) {
    fail_usage("--split {}: '{}' has no samples in it", pack::split_name(split), pack.string());
  }
  for (const std::int64_t sample : samples) {
    if (sample < 0 || sample >= size) {
      fail_usage("--samples {}: '{}' has samples 0 to {} in {}", sample, pack.string(), size - 1,
                 pack::split_name(split));
    }
  }
  if (schema.label_sets.size() > 2) {
    fail_usage("'{}' has {} label sets, at most 2 can be shown", pack.string(), schema.label_sets.size());
  }
  if (samples.empty()) {
    samples.resize(static_cast<std::size_t>(std::min(size, kDefaultShownSamples)));
    std::iota(samples.begin(), samples.end(), std::int64_t{0});
  }
  const auto names = reader.names(split);
  std::vector<Row> rows;
  for (const std::int64_t sample : samples) {
    rows.push_back(read_row(reader, split, sample, names[static_cast<std::size_t>(sample)]));
  }
  figure::PanelOptions options;
  options.height = schema.height;
  options.width = schema.width;
  options.title = fmt::format("{} ({})", pack.filename().string(), schema.dataset);
  options.invalid = figure::InvalidPixels::black;
  for (std::size_t set = 0; set < schema.label_sets.size(); ++set) {
    const pack::LabelSet& labels = schema.label_sets[set];
    options.columns.push_back(
        {.head = labels.name, .part = labels.name, .kind = figure::MapKind::classes, .paint = set});
    options.palettes.push_back({labels.class_names, {labels.class_colors.begin(), labels.class_colors.end()}});
  }
  options.columns.push_back({.head = "depth", .part = "the depth", .has_invalid = true});
  if (schema.has_normals()) {
    options.columns.push_back(
        {.head = "normals", .part = "the normals", .kind = figure::MapKind::normals, .has_invalid = true});
  }
  options.scales = {{schema.depth_kind == pack::DepthKind::metres ? "depth [m]" : "inverse depth"}};
  std::vector<figure::PanelRow> panel;
  for (const Row& row : rows) {
    figure::PanelRow& shown = panel.emplace_back();
    shown.caption = row.caption;
    shown.image = row.image;
    const auto add = [&](std::string_view key, figure::Map map) {
      shown.maps.push_back(row.without.contains(key) ? std::nullopt : std::optional(map));
    };
    for (const std::vector<std::uint8_t>& labels : row.labels) {
      add("seg", labels);
    }
    add("depth", row.depth);
    if (schema.has_normals()) {
      add("normals", row.normals_3hw);
    }
  }
  figure::write_panel(output, panel, options);
  return static_cast<std::int64_t>(rows.size());
}

}  // namespace xtasc::preprocess
