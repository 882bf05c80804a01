#include "sweep/sweep_file.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "config/field_list.hpp"
#include "config/fields.hpp"
#include "core/error.hpp"
#include "core/toml_text.hpp"
#include "io/atomic_file.hpp"

// Assertions of the parser are reachable from bad input: an error is wanted there, not an abort.
#define TOML_ASSERT(expression) static_cast<void>(0)
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace xtasc::sweep {

namespace {

const std::vector<std::string> kSweepKeys = {"title",     "base",       "baseline",    "seeds",     "ranks",
                                             "max_ranks", "set",        "grid",        "zip",       "point",
                                             "exclude",   "axis_names", "value_names", "data_shape"};
const std::vector<std::string> kDataShapeKeys = {"train", "val", "height", "width", "classes"};

std::string did_you_mean(std::string_view given, const std::vector<std::string>& known) {
  const std::string near = config::nearest(given, known);
  return near.empty() ? fmt::format("known are {}", fmt::join(known, ", ")) : fmt::format("did you mean \"{}\"?", near);
}

/// An entry of a table, for going through tables in the file's order: the parser keeps them by name.
struct Entry {
  std::string key;
  toml::source_position key_position;
  const toml::node* node;
};

std::vector<Entry> in_file_order(const toml::table& table) {
  std::vector<Entry> entries;
  for (const auto& [key, node] : table) {
    entries.push_back({std::string(key.str()), key.source().begin, &node});
  }
  std::ranges::sort(entries, [](const Entry& a, const Entry& b) {
    return std::pair(a.key_position.line, a.key_position.column) <
           std::pair(b.key_position.line, b.key_position.column);
  });
  return entries;
}

/// A value as an assignment writes it, or nullopt for tables, dates and NaN.
std::optional<std::string> value_text(const toml::node& node) {
  if (const auto* text = node.as_string()) {
    return config::toml_string(text->get());
  }
  if (const auto* integer = node.as_integer()) {
    return fmt::format("{}", integer->get());
  }
  if (const auto* real = node.as_floating_point()) {
    return std::isfinite(real->get()) ? std::optional(config::real_text(real->get())) : std::nullopt;
  }
  if (const auto* boolean = node.as_boolean()) {
    return boolean->get() ? "true" : "false";
  }
  if (const auto* list = node.as_array()) {
    std::vector<std::string> elements;
    for (const toml::node& element : *list) {
      if (auto text = value_text(element)) {
        elements.push_back(std::move(*text));
      }
    }
    return elements.size() == list->size() ? std::optional(fmt::format("[{}]", fmt::join(elements, ", ")))
                                           : std::nullopt;
  }
  return std::nullopt;
}

/// Goes through the file and notes every fault.
class SweepReader {
 public:
  SweepReader(std::string source, std::vector<std::string>& faults) : source_(std::move(source)), faults_(faults) {}

  SweepFile read(const toml::table& root) {
    SweepFile file;
    for (const Entry& entry : in_file_order(root)) {
      read_entry(entry, file);
    }
    if (const toml::node* most = root.get("max_ranks"); most != nullptr && file.ranks.number != kAutoRanks) {
      fault(at(*most), "max_ranks goes with ranks = \"auto\"");
    }
    if (root.get("base") == nullptr) {
      faults_.push_back(fmt::format(
          "{}: base is missing: name the config that all runs start from, e.g. base = \"../configs/nyuv2.toml\"",
          source_));
    }
    if (root.get("grid") == nullptr && root.get("zip") == nullptr && root.get("point") == nullptr) {
      faults_.push_back(fmt::format("{}: nothing to run: needed is [grid], [[zip]] or [[point]]", source_));
    }
    return file;
  }

 private:
  void read_entry(const Entry& entry, SweepFile& file) {
    const toml::node& node = *entry.node;
    if (entry.key == "title") {
      file.title = text(entry).text;
    } else if (entry.key == "base") {
      file.base = text(entry);
    } else if (entry.key == "baseline") {
      file.baseline = text(entry);
    } else if (entry.key == "seeds") {
      read_seeds(node, file);
    } else if (entry.key == "ranks") {
      read_ranks(entry, file);
    } else if (entry.key == "max_ranks") {
      file.ranks.most = integer(entry, 1);
    } else if (entry.key == "set") {
      file.set = settings(entry, node.as_table(), {});
    } else if (entry.key == "grid") {
      if (node.is_table() && node.as_table()->empty()) {
        fault(at(node), "[grid] has no axis: give keys and lists of values, or leave it out");
      }
      for (Axis& axis : axes(entry, node.as_table(), {})) {
        file.groups.push_back({.axes = {std::move(axis)}, .names = {}, .where = at(node)});
      }
    } else if (entry.key == "zip") {
      for_each_table(entry, [&](const toml::table& table) { read_zip(entry, table, file); });
    } else if (entry.key == "point") {
      for_each_table(entry, [&](const toml::table& table) {
        const Entry name{"name", {}, table.get("name")};
        if (name.node == nullptr) {
          fault(at(table), "a [[point]] needs a name, the row of its runs: name = \"XTasC-Net\"");
        }
        file.points.push_back({.name = name.node == nullptr ? "" : text(name).text,
                               .settings = settings(entry, &table, {"name"}),
                               .where = at(table)});
      });
    } else if (entry.key == "exclude") {
      for_each_table(entry, [&](const toml::table& table) {
        if (table.empty()) {
          fault(at(table), "this [[exclude]] names no key, so it would leave out every combination");
        }
        file.excludes.push_back({.keys = excluded(entry, table), .where = at(table)});
      });
    } else if (entry.key == "axis_names") {
      for_each_key(entry, node.as_table(), {},
                   [&](const std::string& key, const Entry& inner) { file.axis_names[key] = text(inner).text; });
    } else if (entry.key == "value_names") {
      for_each_key(entry, node.as_table(), {},
                   [&](const std::string& key, const Entry& inner) { read_value_names(key, inner, file); });
    } else if (entry.key == "data_shape") {
      read_data_shape(entry, file);
    } else {
      fault(at(entry.key_position),
            fmt::format("unknown key \"{}\"; {}", entry.key, did_you_mean(entry.key, kSweepKeys)));
    }
  }

  void read_ranks(const Entry& entry, SweepFile& file) {
    const auto number = entry.node->value_exact<std::int64_t>();
    if (number && *number >= 1) {
      file.ranks.number = *number;
    } else if (entry.node->value_exact<std::string>() == "auto") {
      file.ranks.number = kAutoRanks;
    } else {
      fault(at(*entry.node), "ranks must be an integer >= 1, or \"auto\"");
    }
  }

  void read_seeds(const toml::node& node, SweepFile& file) {
    file.seeds_where = at(node);
    const toml::array* list = node.as_array();
    if (list == nullptr || list->empty()) {
      fault(at(node), "seeds must be a list of integers >= 0, e.g. [1, 2, 3]");
      return;
    }
    for (const toml::node& element : *list) {
      const auto* seed = element.as_integer();
      if (seed == nullptr || seed->get() < 0) {
        fault(at(element), "seeds must be a list of integers >= 0, e.g. [1, 2, 3]");
      } else if (std::ranges::find(file.seeds, seed->get()) != file.seeds.end()) {
        fault(at(element), fmt::format("seed {} stands twice", seed->get()));
      } else {
        file.seeds.push_back(seed->get());
      }
    }
  }

  void read_zip(const Entry& entry, const toml::table& table, SweepFile& file) {
    AxisGroup group{.axes = axes(entry, &table, {"names"}), .names = {}, .where = at(table)};
    if (const toml::node* names = table.get("names")) {
      const toml::array* list = names->as_array();
      for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
        group.names.push_back(text({"names", {}, list->get(i)}).text);
      }
      if (list == nullptr) {
        fault(at(*names), "names must be a list of texts, one for each step of the [[zip]]");
      }
    }
    if (group.axes.empty()) {
      fault(at(table), "a [[zip]] needs axes: section.key = [values]");
      return;
    }
    for (const Axis& axis : group.axes) {
      if (axis.values.size() != group.size()) {
        fault(axis.values.empty() ? group.where : axis.values.front().where,
              fmt::format("{} has {} values, {} has {}: the axes of a [[zip]] move together", axis.key,
                          axis.values.size(), group.axes.front().key, group.size()));
        return;
      }
    }
    if (!group.names.empty() && group.names.size() != group.size()) {
      fault(group.where, fmt::format("{} names for {} steps of the [[zip]]", group.names.size(), group.size()));
      return;
    }
    file.groups.push_back(std::move(group));
  }

  void read_value_names(const std::string& key, const Entry& entry, SweepFile& file) {
    const toml::table* table = entry.node->as_table();
    if (table == nullptr) {
      fault(at(*entry.node),
            fmt::format("[value_names] {} must give a text for each value: {}.VALUE = \"...\"", key, key));
      return;
    }
    for (const Entry& value : in_file_order(*table)) {
      file.value_names[key][value.key] = text(value).text;
    }
  }

  void read_data_shape(const Entry& entry, SweepFile& file) {
    const toml::table* table = entry.node->as_table();
    if (table == nullptr) {
      fault(at(*entry.node), "data_shape must be a section: [data_shape]");
      return;
    }
    std::map<std::string, std::int64_t> values;
    for (const Entry& value : in_file_order(*table)) {
      if (std::ranges::find(kDataShapeKeys, value.key) == kDataShapeKeys.end()) {
        fault(at(value.key_position), fmt::format("unknown key \"{}\" in [data_shape]; {}", value.key,
                                                  did_you_mean(value.key, kDataShapeKeys)));
      } else {
        values[value.key] = integer(value, 1);
      }
    }
    for (const std::string& key : kDataShapeKeys) {
      if (!values.contains(key)) {
        fault(at(*table), fmt::format("[data_shape] lacks {}", key));
      }
    }
    file.data = DataShape{.train = values["train"],
                          .val = values["val"],
                          .height = values["height"],
                          .width = values["width"],
                          .classes = values["classes"]};
  }

  /// Calls back with each "section.key" of a table of tables; a key outside of a section, or one that no config has, is
  /// a fault.
  template <typename Call>
  void for_each_key(const Entry& entry, const toml::table* table, const std::set<std::string>& other, Call call) {
    if (table == nullptr) {
      fault(at(*entry.node), fmt::format("{} must be a section: [{}]", entry.key, entry.key));
      return;
    }
    for (const Entry& section : in_file_order(*table)) {
      if (other.contains(section.key)) {
        continue;
      }
      const toml::table* keys = section.node->as_table();
      if (keys == nullptr) {
        fault(at(section.key_position),
              fmt::format("\"{}\" is no key of a config: section.key is needed, e.g. train.epochs", section.key));
        continue;
      }
      for (const Entry& key : in_file_order(*keys)) {
        const std::string name = fmt::format("{}.{}", section.key, key.key);
        if (attempt([&] { config::check_key(name, at(key.key_position)); })) {
          call(name, key);
        }
      }
    }
  }

  std::vector<Setting> settings(const Entry& entry, const toml::table* table, const std::set<std::string>& other) {
    std::vector<Setting> found;
    for_each_key(entry, table, other, [&](const std::string& key, const Entry& inner) {
      if (auto made = setting(key, *inner.node)) {
        found.push_back(std::move(*made));
      }
    });
    return found;
  }

  std::vector<Axis> axes(const Entry& entry, const toml::table* table, const std::set<std::string>& other) {
    std::vector<Axis> found;
    for_each_key(entry, table, other, [&](const std::string& key, const Entry& inner) {
      const toml::array* list = inner.node->as_array();
      if (list == nullptr || list->empty()) {
        fault(at(*inner.node), fmt::format("{} is an axis: a list of values is needed, {} = [..., ...]", key, key));
        return;
      }
      Axis axis{.key = key, .values = values_of(key, *list)};
      if (axis.values.size() == list->size()) {
        found.push_back(std::move(axis));
      }
    });
    return found;
  }

  /// A value, or a list that means any of its values.
  std::vector<Axis> excluded(const Entry& entry, const toml::table& table) {
    std::vector<Axis> found;
    for_each_key(entry, &table, {}, [&](const std::string& key, const Entry& inner) {
      Axis axis{.key = key, .values = {}};
      if (const toml::array* list = inner.node->as_array()) {
        axis.values = values_of(key, *list);
      } else if (auto made = setting(key, *inner.node)) {
        axis.values.push_back(std::move(*made));
      }
      found.push_back(std::move(axis));
    });
    return found;
  }

  std::vector<Setting> values_of(const std::string& key, const toml::array& list) {
    std::vector<Setting> values;
    for (const toml::node& element : list) {
      if (auto made = setting(key, element)) {
        values.push_back(std::move(*made));
      }
    }
    return values;
  }

  /// A value that the config takes for this key, or a fault. A text stands without quotes where it can.
  std::optional<Setting> setting(const std::string& key, const toml::node& node) {
    const auto value = value_text(node);
    if (!value) {
      fault(at(node), fmt::format("{}: a value of a config is needed", key));
      return std::nullopt;
    }
    if (!attempt([&] { config::check_assignment(fmt::format("{}={}", key, *value), at(node)); })) {
      return std::nullopt;
    }
    const auto* plain = node.as_string();
    const bool is_bare = plain != nullptr && !plain->get().starts_with('"') && !plain->get().starts_with('\'');
    return Setting{.key = key, .value = is_bare ? plain->get() : *value, .where = at(node)};
  }

  Placed text(const Entry& entry) {
    const auto* value = entry.node->as_string();
    if (value == nullptr || value->get().empty() || value->get().find_first_of("\n\r\t") != std::string::npos) {
      fault(at(*entry.node), fmt::format("{} must be a text on one line, e.g. {} = \"...\"", entry.key, entry.key));
    }
    return {value == nullptr ? "" : value->get(), at(*entry.node)};
  }

  std::int64_t integer(const Entry& entry, std::int64_t minimum) {
    const auto value = entry.node->value_exact<std::int64_t>();
    if (!value || *value < minimum) {
      fault(at(*entry.node), fmt::format("{} must be an integer >= {}", entry.key, minimum));
    }
    return value.value_or(minimum);
  }

  template <typename Call>
  void for_each_table(const Entry& entry, Call call) {
    const toml::array* list = entry.node->as_array();
    if (list == nullptr || !list->is_homogeneous(toml::node_type::table)) {
      fault(at(*entry.node), fmt::format("{} must be a list of sections: [[{}]]", entry.key, entry.key));
      return;
    }
    for (const toml::node& element : *list) {
      call(*element.as_table());
    }
  }

  /// \returns whether nothing was thrown; what was, is a fault.
  template <typename Call>
  bool attempt(Call call) {
    try {
      call();
      return true;
    } catch (const Error& error) {
      faults_.emplace_back(error.what());
      return false;
    }
  }

  void fault(const std::string& where, const std::string& what) {
    faults_.push_back(fmt::format("{}: {}", where, what));
  }

  [[nodiscard]] std::string at(const toml::source_position& position) const {
    return fmt::format("{}:{}:{}", source_, std::max(position.line, 1U), std::max(position.column, 1U));
  }
  [[nodiscard]] std::string at(const toml::node& node) const { return at(node.source().begin); }

  std::string source_;
  std::vector<std::string>& faults_;
};

}  // namespace

SweepFile read_sweep_file(const std::filesystem::path& file, std::vector<std::string>& faults) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) {
    fail_usage("there is no sweep file {}", file.string());
  }
  const std::string text = io::read_file(file);
  check_toml_text(text, file.string());
  try {
    return SweepReader(file.string(), faults).read(toml::parse(std::string_view(text)));
  } catch (const toml::parse_error& error) {
    const auto begin = error.source().begin;
    fail_usage("{}:{}:{}: {}", file.string(), begin.line, begin.column, error.description());
  }
}

}  // namespace xtasc::sweep
