#include "preprocess/datasets/folder_description.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "core/error.hpp"
#include "core/toml.hpp"
#include "io/file.hpp"

namespace xtasc::preprocess {

namespace {

using Kind = TomlValue::Kind;

/// A table of the file, whose keys are taken one by one; what is left in the end is unknown.
class Section {
 public:
  Section(const TomlValue& table, std::string name) : table_(table), name_(std::move(name)) {}

  void allow_only(std::initializer_list<std::string_view> keys) const {
    for (const TomlValue& entry : table_.table) {
      if (std::find(keys.begin(), keys.end(), entry.key) == keys.end()) {
        fail_at(entry, fmt::format("unknown key '{}'; known {} are {}", entry.key, place(), fmt::join(keys, ", ")));
      }
    }
  }

  [[nodiscard]] const TomlValue* find(std::string_view key) const { return table_.find(key); }

  [[nodiscard]] const TomlValue& need(std::string_view key) const {
    const TomlValue* value = find(key);
    if (value == nullptr) {
      fail_at(table_, fmt::format("'{}' is missing {}", key, name_.empty() ? "at the top" : "in [" + name_ + "]"));
    }
    return *value;
  }

  [[nodiscard]] Section table(std::string_view key) const {
    const TomlValue& value = need(key);
    if (!value.is(Kind::table)) {
      fail_at(value, fmt::format("'{}' must be a section: [{}]", key, key));
    }
    return {value, std::string(key)};
  }

  [[nodiscard]] std::string text(std::string_view key) const {
    const TomlValue& value = need(key);
    if (value.text.empty() || value.text.find('\0') != std::string::npos) {
      fail_at(value, fmt::format("'{}' must be a text, for example \"...\"", key));
    }
    return value.text;
  }

  /// A file name with {id} in it, below the root.
  [[nodiscard]] std::string pattern(std::string_view key) const {
    std::string value = text(key);
    const auto at = value.find("{id}");
    if (at == std::string::npos || value.find("{id}", at + 1) != std::string::npos) {
      fail_at(need(key), fmt::format("'{}' must hold {{id}} once, as in \"rgb/{{id}}.png\"", key));
    }
    return value;
  }

  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high) const {
    return integer_of(need(key), key, low, high);
  }

  /// The key `optional`, false where it is not there: whether an image may lack the section's file.
  [[nodiscard]] bool may_be_missing() const {
    const TomlValue* value = find("optional");
    if (value != nullptr && !value->is(Kind::boolean)) {
      fail_at(*value, "'optional' must be true or false");
    }
    return value != nullptr && value->boolean;
  }

  [[nodiscard]] double number(std::string_view key) const {
    const TomlValue& value = need(key);
    if (!value.is_number()) {
      fail_at(value, fmt::format("'{}' must be a number", key));
    }
    return value.real;
  }

  [[nodiscard]] std::vector<std::int64_t> integers(std::string_view key, std::int64_t low, std::int64_t high) const {
    std::vector<std::int64_t> values;
    for (const TomlValue& element : elements(key)) {
      values.push_back(integer_of(element, key, low, high));
    }
    return values;
  }

  [[nodiscard]] std::vector<std::string> texts(std::string_view key) const {
    std::vector<std::string> values;
    for (const TomlValue& element : elements(key)) {
      if (element.text.empty()) {
        fail_at(element, fmt::format("'{}' must be a list of texts", key));
      }
      values.push_back(element.text);
    }
    return values;
  }

  [[nodiscard]] std::optional<Size> size(std::string_view key) const {
    if (find(key) == nullptr) {
      return std::nullopt;
    }
    const auto extents = integers(key, 1, 1 << 16);
    if (extents.size() != 2) {
      fail_at(need(key), fmt::format("'{}' must be [height, width]", key));
    }
    return Size{extents[0], extents[1]};
  }

  [[nodiscard]] std::vector<pack::Rgb> colors(std::string_view key) const {
    std::vector<pack::Rgb> values;
    for (const TomlValue& element : elements(key)) {
      if (element.list.size() != 3) {
        fail_at(element, fmt::format("'{}' must be a list of [red, green, blue]", key));
      }
      pack::Rgb color{};
      for (std::size_t i = 0; i < 3; ++i) {
        color[i] = static_cast<std::uint8_t>(integer_of(element.list[i], key, 0, 255));
      }
      values.push_back(color);
    }
    return values;
  }

  [[noreturn]] static void fail_at(const TomlValue& value, const std::string& what) {
    fail_usage("{}: {}", value.where, what);
  }

 private:
  [[nodiscard]] std::string place() const { return name_.empty() ? "keys" : "keys of [" + name_ + "]"; }

  [[nodiscard]] const std::vector<TomlValue>& elements(std::string_view key) const {
    const TomlValue& value = need(key);
    if (!value.is(Kind::list)) {
      fail_at(value, fmt::format("'{}' must be a list: [...]", key));
    }
    return value.list;
  }

  [[nodiscard]] static std::int64_t integer_of(const TomlValue& value, std::string_view key, std::int64_t low,
                                               std::int64_t high) {
    if (!value.is(Kind::integer) || value.integer < low || value.integer > high) {
      fail_at(value, fmt::format("'{}' must be a whole number from {} to {}", key, low, high));
    }
    return value.integer;
  }

  const TomlValue& table_;
  std::string name_;
};

FolderDescription::Label read_label(const Section& section) {
  section.allow_only({"file", "void", "offset", "class_names", "class_colors", "optional"});
  FolderDescription::Label label;
  label.file = section.pattern("file");
  label.may_be_missing = section.may_be_missing();
  if (section.find("void") != nullptr) {
    label.void_values = section.integers("void", 0, 255);
  }
  if (section.find("offset") != nullptr) {
    label.offset = section.integer("offset", 0, 255);
  }
  label.class_names = section.texts("class_names");
  const auto num_classes = static_cast<std::int64_t>(label.class_names.size());
  if (num_classes < 1 || num_classes + label.offset > 256 || num_classes > 254) {
    section.fail_at(
        section.need("class_names"),
        fmt::format("'class_names' has {} names; 1 to 254 fit, and 'offset' + their number may be 256 at most",
                    num_classes));
  }
  label.class_colors = pack::default_class_colors(label.class_names.size());
  if (section.find("class_colors") != nullptr) {
    label.class_colors = section.colors("class_colors");
    if (label.class_colors.size() != label.class_names.size()) {
      section.fail_at(section.need("class_colors"), fmt::format("'class_colors' has {} colours for {} classes",
                                                                label.class_colors.size(), label.class_names.size()));
    }
  }
  return label;
}

FolderDescription::Depth read_depth(const Section& section, const std::string& where) {
  section.allow_only({"file", "bits", "kind", "offset", "divisor", "invalid", "optional"});
  FolderDescription::Depth depth;
  depth.file = section.pattern("file");
  depth.may_be_missing = section.may_be_missing();
  depth.bits = static_cast<int>(section.integer("bits", 8, 16));
  if (depth.bits != 8 && depth.bits != 16) {
    section.fail_at(section.need("bits"), "'bits' must be 8 or 16");
  }
  const std::string kind = section.text("kind");
  if (kind != "metres" && kind != "inverse_depth") {
    section.fail_at(section.need("kind"), "'kind' must be \"metres\" or \"inverse_depth\"");
  }
  depth.kind = pack::depth_kind_from(kind, where);
  if (section.find("offset") != nullptr) {
    depth.offset = section.number("offset");
  }
  depth.divisor = section.number("divisor");
  if (!(depth.divisor > 0.0)) {
    section.fail_at(section.need("divisor"), "'divisor' must be positive: depth = (value + offset) / divisor");
  }
  if (section.find("invalid") != nullptr) {
    depth.invalid_values = section.integers("invalid", 0, (std::int64_t{1} << depth.bits) - 1);
  }
  return depth;
}

FolderDescription::Normals read_normals(const Section& section) {
  section.allow_only({"file", "mask", "axes", "optional"});
  FolderDescription::Normals normals;
  normals.file = section.pattern("file");
  normals.may_be_missing = section.may_be_missing();
  if (section.find("mask") != nullptr) {
    normals.mask = section.pattern("mask");
  }
  if (section.find("axes") != nullptr) {
    const auto signs = axis_signs(section.text("axes"));
    if (!signs) {
      section.fail_at(section.need("axes"), fmt::format("'axes' must be \"{}\", or \"left\", \"up\" or \"out\" in "
                                                        "their places",
                                                        kPackAxes));
    }
    normals.signs = *signs;
  }
  return normals;
}

io::Orientation read_orientation(const Section& top) {
  if (top.find("orientation") == nullptr) {
    return io::Orientation::refuse;
  }
  const std::string text = top.text("orientation");
  if (text != "apply" && text != "ignore") {
    top.fail_at(
        top.need("orientation"),
        "'orientation' must be \"apply\" (turn files as their EXIF says, as viewers do) or \"ignore\" (take the "
        "stored pixels)");
  }
  return text == "apply" ? io::Orientation::apply : io::Orientation::ignore;
}

FolderDescription read_table(const TomlValue& table, const std::string& file) {
  const Section top(table, "");
  top.allow_only({"name", "source", "size", "raw_size", "orientation", "image", "label", "depth", "normals", "split"});
  FolderDescription description;
  description.path = file;
  description.name = top.text("name");
  description.source = top.find("source") != nullptr ? top.text("source") : description.name;
  description.size = top.size("size");
  if (description.size) {
    try {
      pack::check_size(description.size->height, description.size->width);
    } catch (const Error& error) {
      top.fail_at(top.need("size"), error.what());
    }
  }
  description.raw_size = top.size("raw_size");
  description.orientation = read_orientation(top);
  const Section image = top.table("image");
  image.allow_only({"file"});
  description.image_file = image.pattern("file");
  description.label = read_label(top.table("label"));
  description.depth = read_depth(top.table("depth"), file);
  if (top.find("normals") != nullptr) {
    description.normals = read_normals(top.table("normals"));
  }
  const Section split = top.table("split");
  split.allow_only({"train", "val"});
  description.split_files = {split.text("train"), split.text("val")};
  return description;
}

}  // namespace

FolderDescription read_folder_description(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    fail_usage("there is no description '{}': write one (docs/data.md), or name another with --description",
               path.string());
  }
  return read_table(parse_toml(io::read_config_file(path, "a description (TOML)"), path.string()), path.string());
}

}  // namespace xtasc::preprocess
