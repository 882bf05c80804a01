#include "sweep/sweep_file.hpp"

#include <algorithm>
#include <set>
#include <string_view>

#include "config/field_list.hpp"
#include "config/fields.hpp"
#include "core/error.hpp"
#include "core/nearest.hpp"
#include "core/toml.hpp"
#include "io/atomic_file.hpp"

namespace xtasc::sweep {

namespace {

using Kind = TomlValue::Kind;

const std::vector<std::string> kSweepKeys = {"title",     "base",    "baseline",   "seeds",       "ranks",
                                             "max_ranks", "set",     "grid",       "zip",         "point",
                                             "needs",     "exclude", "axis_names", "value_names", "data_shape"};
const std::vector<std::string> kDataShapeKeys = {"train", "val", "height", "width", "classes"};

/// A value as an assignment writes it, or nullopt for tables, dates and NaN.
std::optional<std::string> value_text(const TomlValue& value) {
  switch (value.kind) {
    case Kind::text:
      return config::toml_string(value.text);
    case Kind::integer:
      return fmt::format("{}", value.integer);
    case Kind::real:
      return value.is_number() ? std::optional(config::real_text(value.real)) : std::nullopt;
    case Kind::boolean:
      return value.boolean ? "true" : "false";
    case Kind::list: {
      std::vector<std::string> elements;
      for (const TomlValue& element : value.list) {
        if (auto text = value_text(element)) {
          elements.push_back(std::move(*text));
        }
      }
      return elements.size() == value.list.size() ? std::optional(fmt::format("[{}]", fmt::join(elements, ", ")))
                                                  : std::nullopt;
    }
    case Kind::table:
    case Kind::other:
      break;
  }
  return std::nullopt;
}

/// Goes through the file and notes every fault.
class SweepReader {
 public:
  SweepReader(std::string source, std::vector<std::string>& faults) : source_(std::move(source)), faults_(faults) {}

  SweepFile read(const TomlValue& root) {
    SweepFile file;
    for (const TomlValue& entry : root.table) {
      read_entry(entry, file);
    }
    if (const TomlValue* most = root.find("max_ranks"); most != nullptr && file.ranks.number != kAutoRanks) {
      fault(most->where, "max_ranks goes with ranks = \"auto\"");
    }
    if (!file.needs.empty() && root.find("grid") == nullptr && root.find("zip") == nullptr) {
      fault(
          file.needs.front().where,
          "needs stands here for the runs of [grid] and [[zip]], of which there are none: write it into the [[point]]");
    }
    if (root.find("base") == nullptr) {
      faults_.push_back(fmt::format(
          "{}: base is missing: name the config that all runs start from, e.g. base = \"../configs/nyuv2.toml\"",
          source_));
    }
    if (root.find("grid") == nullptr && root.find("zip") == nullptr && root.find("point") == nullptr) {
      faults_.push_back(fmt::format("{}: nothing to run: needed is [grid], [[zip]] or [[point]]", source_));
    }
    return file;
  }

 private:
  void read_entry(const TomlValue& entry, SweepFile& file) {
    if (entry.key == "title") {
      file.title = text(entry).text;
    } else if (entry.key == "base") {
      file.base = text(entry);
    } else if (entry.key == "baseline") {
      file.baseline = text(entry);
    } else if (entry.key == "seeds") {
      read_seeds(entry, file);
    } else if (entry.key == "ranks") {
      read_ranks(entry, file);
    } else if (entry.key == "max_ranks") {
      file.ranks.most = integer(entry, 1);
    } else if (entry.key == "set") {
      file.set = settings(entry.key, entry, {});
    } else if (entry.key == "grid") {
      if (entry.is(Kind::table) && entry.table.empty()) {
        fault(entry.where, "[grid] has no axis: give keys and lists of values, or leave it out");
      }
      for (Axis& axis : axes(entry.key, entry, {})) {
        file.groups.push_back({.axes = {std::move(axis)}, .names = {}, .where = entry.where});
      }
    } else if (entry.key == "zip") {
      for_each_table(entry, [&](const TomlValue& table) { read_zip(table, file); });
    } else if (entry.key == "point") {
      for_each_table(entry, [&](const TomlValue& table) {
        const TomlValue* name = table.find("name");
        if (name == nullptr) {
          fault(table.where, "a [[point]] needs a name, the row of its runs: name = \"XTasC-Net\"");
        }
        const TomlValue* needs = table.find("needs");
        file.points.push_back({.name = name == nullptr ? "" : text(*name).text,
                               .settings = settings("point", table, {"name", "needs"}),
                               .needs = needs == nullptr ? std::vector<Placed>() : rows(*needs),
                               .where = table.where});
      });
    } else if (entry.key == "exclude") {
      for_each_table(entry, [&](const TomlValue& table) {
        if (table.table.empty()) {
          fault(table.where, "this [[exclude]] names no key, so it would leave out every combination");
        }
        file.excludes.push_back({.keys = excluded(table), .where = table.where});
      });
    } else if (entry.key == "needs") {
      file.needs = rows(entry);
    } else if (entry.key == "axis_names") {
      for_each_key(entry.key, entry, {},
                   [&](const std::string& key, const TomlValue& inner) { file.axis_names[key] = text(inner).text; });
    } else if (entry.key == "value_names") {
      for_each_key(entry.key, entry, {},
                   [&](const std::string& key, const TomlValue& inner) { read_value_names(key, inner, file); });
    } else if (entry.key == "data_shape") {
      read_data_shape(entry, file);
    } else {
      fault(entry.key_where, fmt::format("unknown key \"{}\"; {}", entry.key, did_you_mean(entry.key, kSweepKeys)));
    }
  }

  void read_ranks(const TomlValue& entry, SweepFile& file) {
    if (entry.is(Kind::integer) && entry.integer >= 1) {
      file.ranks.number = entry.integer;
    } else if (entry.text == "auto") {
      file.ranks.number = kAutoRanks;
    } else {
      fault(entry.where, "ranks must be an integer >= 1, or \"auto\"");
    }
  }

  void read_seeds(const TomlValue& entry, SweepFile& file) {
    file.seeds_where = entry.where;
    if (entry.list.empty()) {
      fault(entry.where, "seeds must be a list of integers >= 0, e.g. [1, 2, 3]");
      return;
    }
    for (const TomlValue& seed : entry.list) {
      if (!seed.is(Kind::integer) || seed.integer < 0) {
        fault(seed.where, "seeds must be a list of integers >= 0, e.g. [1, 2, 3]");
      } else if (std::ranges::find(file.seeds, seed.integer) != file.seeds.end()) {
        fault(seed.where, fmt::format("seed {} stands twice", seed.integer));
      } else {
        file.seeds.push_back(seed.integer);
      }
    }
  }

  void read_zip(const TomlValue& table, SweepFile& file) {
    AxisGroup group{.axes = axes("zip", table, {"names"}), .names = {}, .where = table.where};
    if (const TomlValue* names = table.find("names")) {
      for (const TomlValue& name : names->list) {
        group.names.push_back(text(name, "names").text);
      }
      if (!names->is(Kind::list)) {
        fault(names->where, "names must be a list of texts, one for each step of the [[zip]]");
      }
    }
    if (group.axes.empty()) {
      fault(table.where, "a [[zip]] needs axes: section.key = [values]");
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

  void read_value_names(const std::string& key, const TomlValue& entry, SweepFile& file) {
    if (!entry.is(Kind::table)) {
      fault(entry.where, fmt::format("[value_names] {} must give a text for each value: {}.VALUE = \"...\"", key, key));
      return;
    }
    for (const TomlValue& value : entry.table) {
      file.value_names[key][value.key] = text(value).text;
    }
  }

  void read_data_shape(const TomlValue& entry, SweepFile& file) {
    if (!entry.is(Kind::table)) {
      fault(entry.where, "data_shape must be a section: [data_shape]");
      return;
    }
    std::map<std::string, std::int64_t> values;
    for (const TomlValue& value : entry.table) {
      if (std::ranges::find(kDataShapeKeys, value.key) == kDataShapeKeys.end()) {
        fault(value.key_where, fmt::format("unknown key \"{}\" in [data_shape]; {}", value.key,
                                           did_you_mean(value.key, kDataShapeKeys)));
      } else {
        values[value.key] = integer(value, 1);
      }
    }
    for (const std::string& key : kDataShapeKeys) {
      if (!values.contains(key)) {
        fault(entry.where, fmt::format("[data_shape] lacks {}", key));
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
  void for_each_key(const std::string& name, const TomlValue& value, const std::set<std::string>& other, Call call) {
    if (!value.is(Kind::table)) {
      fault(value.where, fmt::format("{} must be a section: [{}]", name, name));
      return;
    }
    for (const TomlValue& section : value.table) {
      if (other.contains(section.key)) {
        continue;
      }
      if (!section.is(Kind::table)) {
        fault(section.key_where,
              fmt::format("\"{}\" is no key of a config: section.key is needed, e.g. train.epochs", section.key));
        continue;
      }
      for (const TomlValue& entry : section.table) {
        const std::string key = fmt::format("{}.{}", section.key, entry.key);
        if (attempt([&] { config::check_key(key, entry.key_where); })) {
          call(key, entry);
        }
      }
    }
  }

  std::vector<Setting> settings(const std::string& name, const TomlValue& value, const std::set<std::string>& other) {
    std::vector<Setting> found;
    for_each_key(name, value, other, [&](const std::string& key, const TomlValue& inner) {
      if (auto made = setting(key, inner)) {
        found.push_back(std::move(*made));
      }
    });
    return found;
  }

  std::vector<Axis> axes(const std::string& name, const TomlValue& value, const std::set<std::string>& other) {
    std::vector<Axis> found;
    for_each_key(name, value, other, [&](const std::string& key, const TomlValue& inner) {
      if (inner.list.empty()) {
        fault(inner.where, fmt::format("{} is an axis: a list of values is needed, {} = [..., ...]", key, key));
        return;
      }
      Axis axis{.key = key, .values = values_of(key, inner.list)};
      if (axis.values.size() == inner.list.size()) {
        found.push_back(std::move(axis));
      }
    });
    return found;
  }

  /// A value, or a list that means any of its values.
  std::vector<Axis> excluded(const TomlValue& table) {
    std::vector<Axis> found;
    for_each_key("exclude", table, {}, [&](const std::string& key, const TomlValue& inner) {
      Axis axis{.key = key, .values = {}};
      if (inner.is(Kind::list)) {
        axis.values = values_of(key, inner.list);
      } else if (auto made = setting(key, inner)) {
        axis.values.push_back(std::move(*made));
      }
      found.push_back(std::move(axis));
    });
    return found;
  }

  std::vector<Setting> values_of(const std::string& key, const std::vector<TomlValue>& list) {
    std::vector<Setting> values;
    for (const TomlValue& element : list) {
      if (auto made = setting(key, element)) {
        values.push_back(std::move(*made));
      }
    }
    return values;
  }

  /// A value that the config takes for this key, or a fault. A text stands without quotes where it can.
  std::optional<Setting> setting(const std::string& key, const TomlValue& value) {
    const auto assigned = value_text(value);
    if (!assigned) {
      fault(value.where, fmt::format("{}: a value of a config is needed", key));
      return std::nullopt;
    }
    if (!attempt([&] { config::check_assignment(fmt::format("{}={}", key, *assigned), value.where); })) {
      return std::nullopt;
    }
    const bool is_bare = value.is(Kind::text) && !value.text.starts_with('"') && !value.text.starts_with('\'');
    return Setting{.key = key, .value = is_bare ? value.text : *assigned, .where = value.where};
  }

  /// needs = ["ROW"].
  std::vector<Placed> rows(const TomlValue& entry) {
    std::vector<Placed> found;
    for (const TomlValue& row : entry.list) {
      found.push_back(text(row, "each of needs"));
    }
    if (found.empty()) {
      fault(entry.where, "needs must be a list of rows of this file, e.g. needs = [\"STAN\"]");
    }
    return found;
  }

  Placed text(const TomlValue& value) { return text(value, value.key); }

  Placed text(const TomlValue& value, const std::string& name) {
    if (value.text.empty() || value.text.find_first_of("\n\r\t") != std::string::npos) {
      fault(value.where, fmt::format("{} must be a text on one line, e.g. {} = \"...\"", name, name));
    }
    return {value.text, value.where};
  }

  std::int64_t integer(const TomlValue& entry, std::int64_t minimum) {
    const bool is_good = entry.is(Kind::integer) && entry.integer >= minimum;
    if (!is_good) {
      fault(entry.where, fmt::format("{} must be an integer >= {}", entry.key, minimum));
    }
    return entry.is(Kind::integer) ? entry.integer : minimum;
  }

  template <typename Call>
  void for_each_table(const TomlValue& entry, Call call) {
    if (!entry.is_list_of_tables()) {
      fault(entry.where, fmt::format("{} must be a list of sections: [[{}]]", entry.key, entry.key));
      return;
    }
    std::ranges::for_each(entry.list, call);
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

  std::string source_;
  std::vector<std::string>& faults_;
};

}  // namespace

SweepFile read_sweep_file(const std::filesystem::path& file, std::vector<std::string>& faults) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) {
    fail_usage("there is no sweep file {}", file.string());
  }
  return SweepReader(file.string(), faults).read(parse_toml(io::read_file(file), file.string()));
}

}  // namespace xtasc::sweep
