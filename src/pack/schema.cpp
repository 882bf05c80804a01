#include "pack/schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <set>

#include "core/error.hpp"
#include "pack/digest.hpp"

namespace xtasc::pack {

namespace {

/// Ten hues of Tableau's palette and their lighter twins.
constexpr std::array<Rgb, 20> kPalette = {{
    {31, 119, 180},  {255, 127, 14},  {44, 160, 44},   {214, 39, 40},   {148, 103, 189},
    {140, 86, 75},   {227, 119, 194}, {188, 189, 34},  {23, 190, 207},  {174, 199, 232},
    {255, 187, 120}, {152, 223, 138}, {255, 152, 150}, {197, 176, 213}, {196, 156, 148},
    {247, 182, 210}, {219, 219, 141}, {158, 218, 229}, {102, 102, 0},   {0, 70, 70},
}};

/// Enters the digest in the place of kVersion: the same content has one digest, in whatever layout it is stored.
constexpr int kContentVersion = 1;

bool is_label_set_name(std::string_view name) {
  const auto names = possible_label_set_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::vector<std::string> possible_label_set_names() {
  std::vector<std::string> names = {"label"};
  for (int n = 1; n < kIgnoreLabel; ++n) {
    names.push_back(fmt::format("label_{}", n));
  }
  return names;
}

std::size_t find_label_set(const Schema& schema, const std::string& name) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < schema.label_sets.size(); ++i) {
    if (name.empty() || schema.label_sets[i].name == name) {
      return i;
    }
    names.push_back(schema.label_sets[i].name);
  }
  fail_usage("data.label_set = \"{}\": the pack has {}", name, fmt::join(names, ", "));
}

std::string_view split_name(Split split) {
  switch (split) {
    case Split::train:
      return "train";
    case Split::val:
      return "val";
  }
  return "?";
}

std::string_view depth_kind_name(DepthKind kind) {
  switch (kind) {
    case DepthKind::metres:
      return "metres";
    case DepthKind::inverse_depth:
      return "inverse_depth";
  }
  return "?";
}

DepthKind depth_kind_from(std::string_view name, std::string_view where) {
  for (const DepthKind kind : {DepthKind::metres, DepthKind::inverse_depth}) {
    if (name == depth_kind_name(kind)) {
      return kind;
    }
  }
  fail("{}: depth_kind is \"{}\"; \"metres\" and \"inverse_depth\" are known", where, name);
}

std::string_view depth_type_name(DepthType type) {
  switch (type) {
    case DepthType::uint16:
      return "uint16";
    case DepthType::float32:
      return "float32";
  }
  return "?";
}

std::vector<std::string> data_set_names(const Schema& schema) {
  std::vector<std::string> names = {"image"};
  for (const LabelSet& set : schema.label_sets) {
    names.push_back(set.name);
  }
  names.emplace_back("depth");
  if (schema.has_normals()) {
    names.emplace_back("normals");
  }
  return names;
}

std::size_t depth_data_set(const Schema& schema) {
  return 1 + schema.label_sets.size();
}

std::size_t normals_data_set(const Schema& schema) {
  return depth_data_set(schema) + 1;
}

std::size_t num_channels(const Schema& schema, std::size_t data_set) {
  return data_set == 0 || data_set == normals_data_set(schema) ? 3 : 1;
}

std::size_t sample_bytes(const Schema& schema, std::size_t data_set) {
  const auto values = static_cast<std::size_t>(schema.height * schema.width) * num_channels(schema, data_set);
  if (data_set < depth_data_set(schema)) {
    return values;
  }
  return values * (data_set == depth_data_set(schema) && schema.depth_type == DepthType::float32 ? 4 : 2);
}

std::vector<std::string> label_keys(const Schema& schema) {
  std::vector<std::string> keys = {"seg", "depth"};
  if (schema.has_normals()) {
    keys.emplace_back("normals");
  }
  return keys;
}

std::string flags_name(std::string_view key) {
  return fmt::format("has_{}", key);
}

std::string digest_text(const Schema& schema) {
  std::string text;
  const auto add = [&text](std::string_view key, const auto& value) {
    const std::string words = fmt::format("{}", value);
    text += fmt::format("{}:{}:{}\n", key, words.size(), words);
  };
  add("format", kFormat);
  add("version", kContentVersion);
  add("dataset", schema.dataset);
  add("height", schema.height);
  add("width", schema.width);
  add("ignore_label", static_cast<int>(kIgnoreLabel));
  for (const LabelSet& set : schema.label_sets) {
    add("label_set", set.name);
    for (std::size_t i = 0; i < set.class_names.size(); ++i) {
      const Rgb& color = set.class_colors[i];
      add("class_name", set.class_names[i]);
      add("class_color", fmt::format("{},{},{}", color[0], color[1], color[2]));
    }
  }
  add("depth_kind", depth_kind_name(schema.depth_kind));
  add("depth_type", depth_type_name(schema.depth_type));
  add("depth_scale", fmt::format("{:a}", schema.depth_scale));
  add("depth_max", fmt::format("{:a}", schema.depth_max));
  for (std::size_t i = 0; i < 3; ++i) {
    add("image_mean", fmt::format("{:a}", schema.image_mean[i]));
    add("image_std", fmt::format("{:a}", schema.image_std[i]));
  }
  add("resize", schema.resize);
  add("tool_version", schema.tool_version);
  add("source", schema.source);
  if (schema.has_normals()) {
    add("normals", schema.normals);
  }
  if (!schema.orientation.empty()) {
    add("orientation", schema.orientation);
  }
  for (const std::string& line : schema.skipped) {
    add("skipped", line);
  }
  return text;
}

void check_schema(const Schema& schema, std::string_view where) {
  check_size(schema.height, schema.width);
  constexpr std::int64_t kMaxPixels = std::int64_t{1} << 25;  // keeps a damaged pack from asking for much memory
  check(schema.height <= kMaxPixels / schema.width, "{}: {} x {} pixels a sample are too many, {} is the limit", where,
        schema.height, schema.width, kMaxPixels);
  check(!schema.dataset.empty(), "{}: the dataset has no name", where);
  check(!schema.label_sets.empty(), "{}: there is no label set", where);
  std::set<std::string> set_names;
  for (const LabelSet& set : schema.label_sets) {
    check(is_label_set_name(set.name) && set_names.insert(set.name).second,
          "{}: label set \"{}\" must have a name of its own, \"label\" or \"label_N\" with N from 1 to {}", where,
          set.name, kIgnoreLabel - 1);
    check(!set.class_names.empty() && set.class_names.size() < kIgnoreLabel,
          "{}: label set \"{}\" has {} classes, 1 to {} are possible", where, set.name, set.class_names.size(),
          kIgnoreLabel - 1);
    check(set.class_colors.size() == set.class_names.size(), "{}: label set \"{}\" has {} classes but {} colours",
          where, set.name, set.class_names.size(), set.class_colors.size());
    std::set<std::string> class_names;
    for (const std::string& name : set.class_names) {
      check(!name.empty() && class_names.insert(name).second, "{}: class name \"{}\" is empty or there twice", where,
            name);
    }
  }
  check(std::isfinite(schema.depth_scale) && schema.depth_scale > 0, "{}: depth_scale is {}, it must be positive",
        where, schema.depth_scale);
  check(schema.orientation.empty() || schema.orientation == "apply" || schema.orientation == "ignore",
        "{}: orientation is \"{}\"; \"apply\" and \"ignore\" are known", where, schema.orientation);
  for (std::size_t i = 0; i < 3; ++i) {
    check(std::isfinite(schema.image_mean[i]) && std::isfinite(schema.image_std[i]) && schema.image_std[i] > 0,
          "{}: image_mean and image_std must be numbers, image_std positive", where);
  }
}

std::vector<Rgb> default_class_colors(std::size_t count) {
  std::vector<Rgb> colors;
  for (std::size_t i = 0; i < count; ++i) {
    Rgb color = kPalette[i % kPalette.size()];
    for (std::uint8_t& channel : color) {  // each further round of the palette is darker
      channel = static_cast<std::uint8_t>(channel / (1 + i / kPalette.size()));
    }
    colors.push_back(color);
  }
  return colors;
}

std::optional<std::string> label_fault(const Schema& schema, std::size_t label_set,
                                       std::span<const std::uint8_t> labels) {
  const std::size_t num_classes = schema.label_sets[label_set].class_names.size();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] >= num_classes && labels[i] != kIgnoreLabel) {
      const auto width = static_cast<std::size_t>(schema.width);
      return fmt::format("{} {} at row {}, column {}; 0 to {} and {} (ignored) are possible",
                         schema.label_sets[label_set].name, labels[i], i / width, i % width, num_classes - 1,
                         kIgnoreLabel);
    }
  }
  return std::nullopt;
}

std::optional<std::string> depth_fault(const Schema& schema, std::span<const float> depth) {
  for (std::size_t i = 0; i < depth.size(); ++i) {
    if (!(depth[i] >= 0.0F) || std::isinf(depth[i])) {
      const auto width = static_cast<std::size_t>(schema.width);
      return fmt::format("depth {} at row {}, column {}; it must be 0 (invalid) or positive", depth[i], i / width,
                         i % width);
    }
  }
  return std::nullopt;
}

std::optional<std::string> normals_fault(const Schema& schema, std::span<const std::int16_t> normals) {
  constexpr double kTolerance = 1e-3;
  for (std::size_t i = 0; i + 2 < normals.size(); i += 3) {
    const std::array<double, 3> n = {1.0 * normals[i], 1.0 * normals[i + 1], 1.0 * normals[i + 2]};
    const double length = std::sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]) / kNormalScale;
    if (length > 0.0 && std::abs(length - 1.0) > kTolerance) {
      const auto width = static_cast<std::size_t>(schema.width);
      return fmt::format("normal ({}, {}, {}) / {} of length {:.4f} at row {}, column {}; 1 or 0 (invalid) is possible",
                         n[0], n[1], n[2], kNormalScale, length, i / 3 / width, i / 3 % width);
    }
  }
  return std::nullopt;
}

void check_size(std::int64_t height, std::int64_t width) {
  constexpr std::int64_t kMultiple = 32;
  if (height > 0 && width > 0 && height % kMultiple == 0 && width % kMultiple == 0) {
    return;
  }
  const auto nearest = [](std::int64_t extent) {
    return std::max<std::int64_t>(1, (extent + kMultiple / 2) / kMultiple) * kMultiple;
  };
  fail(
      "size {}x{} (height x width): both must be multiples of {}, because the network halves its input five times; "
      "{}x{} would do",
      height, width, kMultiple, nearest(height), nearest(width));
}

std::pair<std::int64_t, std::int64_t> parse_size(std::string_view option, const std::string& text) {
  long height = 0;
  long width = 0;
  int used = 0;
  const int fields = std::sscanf(text.c_str(), "%6ldx%6ld%n", &height, &width, &used);
  if (fields != 2 || static_cast<std::size_t>(used) != text.size()) {
    fail_usage("{} '{}': HEIGHTxWIDTH is expected, for example 128x256", option, text);
  }
  try {
    check_size(height, width);
  } catch (const Error& error) {
    fail_usage("{}: {}", option, error.what());
  }
  return {height, width};
}

}  // namespace xtasc::pack
