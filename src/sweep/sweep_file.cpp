#include "sweep/sweep_file.hpp"

#include <algorithm>
#include <set>
#include <string_view>

#include "core/error.hpp"
#include "core/nearest.hpp"
#include "core/toml.hpp"
#include "core/user_path.hpp"
#include "io/file.hpp"
#include "sweep/halving/stop.hpp"
#include "sweep/random_axes.hpp"
#include "sweep/setting_reader.hpp"

namespace xtasc::sweep {

namespace {

using Kind = TomlValue::Kind;

const std::vector<std::string> kSweepKeys = {"title",   "base", "baseline",   "seeds",       "ranks",     "max_ranks",
                                             "set",     "grid", "zip",        "random",      "point",     "needs",
                                             "exclude", "stop", "axis_names", "value_names", "data_shape"};
const std::vector<std::string> kDataShapeKeys = {"train", "val", "height", "width", "classes"};

/// Goes through the file and notes every fault.
class SweepReader {
 public:
  SweepReader(std::string source, std::vector<std::string>& faults)
      : source_(std::move(source)), faults_(faults), parts_(faults) {}

  SweepFile read(const TomlValue& root) {
    SweepFile file;
    for (const TomlValue& entry : root.table) {
      read_entry(entry, file);
    }
    if (const TomlValue* most = root.find("max_ranks"); most != nullptr && file.ranks.number != kAutoRanks) {
      parts_.fault(most->where, "max_ranks goes with ranks = \"auto\"");
    }
    const bool has_axes = root.find("grid") != nullptr || root.find("zip") != nullptr || root.find("random") != nullptr;
    if (!file.needs.empty() && !has_axes) {
      parts_.fault(file.needs.front().where,
                   "needs stands here for the runs of [grid], [[zip]] and [random], of which there are none: write it "
                   "into the [[point]]");
    }
    if (root.find("base") == nullptr) {
      faults_.push_back(fmt::format(
          "{}: base is missing: name the config that all runs start from, e.g. base = \"../configs/nyuv2.toml\"",
          source_));
    }
    if (!has_axes && root.find("point") == nullptr) {
      faults_.push_back(fmt::format("{}: nothing to run: needed is [grid], [[zip]], [random] or [[point]]", source_));
    }
    return file;
  }

 private:
  void read_entry(const TomlValue& entry, SweepFile& file) {
    if (entry.key == "title") {
      file.title = parts_.text(entry).text;
    } else if (entry.key == "base") {
      file.base = parts_.text(entry);
      if (const std::string fault = fill_in_home(file.base.text); !fault.empty()) {
        parts_.fault(entry.where, fmt::format("base: {}", fault));
        file.base.text.clear();
      }
    } else if (entry.key == "baseline") {
      file.baseline = parts_.text(entry);
    } else if (entry.key == "seeds") {
      read_seeds(entry, file);
    } else if (entry.key == "ranks") {
      read_ranks(entry, file);
    } else if (entry.key == "max_ranks") {
      file.ranks.most = parts_.integer(entry, 1);
    } else if (entry.key == "set") {
      file.set = parts_.settings(entry.key, entry, {});
    } else if (entry.key == "grid") {
      if (entry.is(Kind::table) && entry.table.empty()) {
        parts_.fault(entry.where, "[grid] has no axis: give keys and lists of values, or leave it out");
      }
      for (Axis& axis : parts_.axes(entry.key, entry, {})) {
        file.groups.push_back({.axes = {std::move(axis)}, .names = {}, .where = entry.where});
      }
    } else if (entry.key == "zip") {
      for_each_table(entry, [&](const TomlValue& table) { read_zip(table, file); });
    } else if (entry.key == "random") {
      if (auto group = read_random(entry, parts_)) {
        file.groups.push_back(std::move(*group));
      }
    } else if (entry.key == "stop") {
      file.stop = read_stop(entry, parts_);
      file.stop_where = entry.where;
    } else if (entry.key == "point") {
      for_each_table(entry, [&](const TomlValue& table) {
        const TomlValue* name = table.find("name");
        if (name == nullptr) {
          parts_.fault(table.where, "a [[point]] needs a name, the row of its runs: name = \"XTasC-Net\"");
        }
        const TomlValue* needs = table.find("needs");
        file.points.push_back({.name = name == nullptr ? "" : parts_.text(*name).text,
                               .settings = parts_.settings("point", table, {"name", "needs"}),
                               .needs = needs == nullptr ? std::vector<Placed>() : rows(*needs),
                               .where = table.where});
      });
    } else if (entry.key == "exclude") {
      for_each_table(entry, [&](const TomlValue& table) {
        if (table.table.empty()) {
          parts_.fault(table.where, "this [[exclude]] names no key, so it would leave out every combination");
        }
        file.excludes.push_back({.keys = parts_.excluded(table), .where = table.where});
      });
    } else if (entry.key == "needs") {
      file.needs = rows(entry);
    } else if (entry.key == "axis_names") {
      parts_.for_each_key(entry.key, entry, {}, [&](const std::string& key, const TomlValue& inner) {
        file.axis_names[key] = parts_.text(inner).text;
      });
    } else if (entry.key == "value_names") {
      parts_.for_each_key(entry.key, entry, {},
                          [&](const std::string& key, const TomlValue& inner) { read_value_names(key, inner, file); });
    } else if (entry.key == "data_shape") {
      read_data_shape(entry, file);
    } else {
      parts_.fault(entry.key_where,
                   fmt::format("unknown key \"{}\"; {}", entry.key, did_you_mean(entry.key, kSweepKeys)));
    }
  }

  void read_ranks(const TomlValue& entry, SweepFile& file) {
    if (entry.is(Kind::integer) && entry.integer >= 1) {
      file.ranks.number = entry.integer;
    } else if (entry.text == "auto") {
      file.ranks.number = kAutoRanks;
    } else {
      parts_.fault(entry.where, "ranks must be an integer >= 1, or \"auto\"");
    }
  }

  void read_seeds(const TomlValue& entry, SweepFile& file) {
    file.seeds_where = entry.where;
    if (entry.list.empty()) {
      parts_.fault(entry.where, "seeds must be a list of integers >= 0, e.g. [1, 2, 3]");
      return;
    }
    for (const TomlValue& seed : entry.list) {
      if (!seed.is(Kind::integer) || seed.integer < 0) {
        parts_.fault(seed.where, "seeds must be a list of integers >= 0, e.g. [1, 2, 3]");
      } else if (std::ranges::find(file.seeds, seed.integer) != file.seeds.end()) {
        parts_.fault(seed.where, fmt::format("seed {} stands twice", seed.integer));
      } else {
        file.seeds.push_back(seed.integer);
      }
    }
  }

  void read_zip(const TomlValue& table, SweepFile& file) {
    AxisGroup group{.axes = parts_.axes("zip", table, {"names"}), .names = {}, .where = table.where};
    if (const TomlValue* names = table.find("names")) {
      for (const TomlValue& name : names->list) {
        group.names.push_back(parts_.text(name, "names").text);
      }
      if (!names->is(Kind::list)) {
        parts_.fault(names->where, "names must be a list of texts, one for each step of the [[zip]]");
      }
    }
    if (group.axes.empty()) {
      parts_.fault(table.where, "a [[zip]] needs axes: section.key = [values]");
      return;
    }
    for (const Axis& axis : group.axes) {
      if (axis.values.size() != group.size()) {
        parts_.fault(axis.values.empty() ? group.where : axis.values.front().where,
                     fmt::format("{} has {} values, {} has {}: the axes of a [[zip]] move together", axis.key,
                                 axis.values.size(), group.axes.front().key, group.size()));
        return;
      }
    }
    if (!group.names.empty() && group.names.size() != group.size()) {
      parts_.fault(group.where, fmt::format("{} names for {} steps of the [[zip]]", group.names.size(), group.size()));
      return;
    }
    file.groups.push_back(std::move(group));
  }

  void read_value_names(const std::string& key, const TomlValue& entry, SweepFile& file) {
    if (!entry.is(Kind::table)) {
      parts_.fault(entry.where,
                   fmt::format("[value_names] {} must give a text for each value: {}.VALUE = \"...\"", key, key));
      return;
    }
    for (const TomlValue& value : entry.table) {
      file.value_names[key][value.key] = parts_.text(value).text;
    }
  }

  void read_data_shape(const TomlValue& entry, SweepFile& file) {
    if (!entry.is(Kind::table)) {
      parts_.fault(entry.where, "data_shape must be a section: [data_shape]");
      return;
    }
    std::map<std::string, std::int64_t> values;
    for (const TomlValue& value : entry.table) {
      if (std::ranges::find(kDataShapeKeys, value.key) == kDataShapeKeys.end()) {
        parts_.fault(value.key_where, fmt::format("unknown key \"{}\" in [data_shape]; {}", value.key,
                                                  did_you_mean(value.key, kDataShapeKeys)));
      } else {
        values[value.key] = parts_.integer(value, 1);
      }
    }
    for (const std::string& key : kDataShapeKeys) {
      if (!values.contains(key)) {
        parts_.fault(entry.where, fmt::format("[data_shape] lacks {}", key));
      }
    }
    file.data = DataShape{.train = values["train"],
                          .val = values["val"],
                          .height = values["height"],
                          .width = values["width"],
                          .classes = values["classes"]};
  }

  /// needs = ["ROW"].
  std::vector<Placed> rows(const TomlValue& entry) {
    std::vector<Placed> found;
    for (const TomlValue& row : entry.list) {
      found.push_back(parts_.text(row, "each of needs"));
    }
    if (found.empty()) {
      parts_.fault(entry.where, "needs must be a list of rows of this file, e.g. needs = [\"STAN\"]");
    }
    return found;
  }

  template <typename Call>
  void for_each_table(const TomlValue& entry, Call call) {
    if (!entry.is_list_of_tables()) {
      parts_.fault(entry.where, fmt::format("{} must be a list of sections: [[{}]]", entry.key, entry.key));
      return;
    }
    std::ranges::for_each(entry.list, call);
  }

  std::string source_;
  std::vector<std::string>& faults_;
  SettingReader parts_;
};

}  // namespace

SweepFile read_sweep_file(const std::filesystem::path& file, std::vector<std::string>& faults) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    fail_usage("there is no sweep file {}", file.string());
  }
  const std::string text = io::read_config_file(file, "a sweep file (TOML)");
  return SweepReader(file.string(), faults).read(parse_toml(text, file.string()));
}

}  // namespace xtasc::sweep
