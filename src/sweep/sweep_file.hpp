#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// A text of the file with its place, "sweeps/table_I.toml:12:5".
struct Placed {
  std::string text;
  std::string where;
};

/// A key of the run's config and a value for it, as TOML text ("3", "0.01", "xtasc").
struct Setting {
  std::string key;  ///< "section.key"
  std::string value;
  std::string where;

  [[nodiscard]] std::string assignment() const { return key + "=" + value; }
};

/// One axis: a key and its values.
struct Axis {
  std::string key;
  std::vector<Setting> values;
};

/// Axes that move together: one of [grid], or all of a [[zip]] or of [random], which have equally many values.
struct AxisGroup {
  std::vector<Axis> axes;
  std::vector<std::string> names;  ///< of a [[zip]]: the row of each step; may be empty
  std::string drawn = {};          ///< of [random]: what was drawn, and how; for people
  std::string where;

  [[nodiscard]] std::size_t size() const { return axes.front().values.size(); }
};

/// [[point]]: one run a seed, beside the product of the axes. Points of one name make one row.
struct Point {
  std::string name;
  std::vector<Setting> settings;
  std::vector<Placed> needs;  ///< rows whose runs teach those of this one
  std::string where;
};

/// [[exclude]]: combinations of the axes that are left out; each key with the values that it means.
struct Exclude {
  std::vector<Axis> keys;
  std::string where;
};

/// A sweep file as it stands, checked key by key and value by value, not expanded yet.
struct SweepFile {
  std::string title;
  Placed base;
  std::optional<Placed> baseline;
  std::vector<std::int64_t> seeds;
  std::string seeds_where;  ///< empty: the file names none
  RanksWish ranks;
  std::vector<Setting> set;  ///< [set]: for all runs
  std::vector<AxisGroup> groups;
  std::vector<Point> points;
  std::vector<Exclude> excludes;
  std::vector<Placed> needs;                                              ///< of all runs of the axes
  std::map<std::string, std::string> axis_names;                          ///< [axis_names]
  std::map<std::string, std::map<std::string, std::string>> value_names;  ///< [value_names], by key and value
  std::optional<DataShape> data;                                          ///< [data_shape]
  std::optional<Stop> stop;                                               ///< [stop]
  std::string stop_where;
};

/// \param faults  one line is added for each fault: "FILE:LINE:COLUMN: what is wrong"
/// \throws Error (exit code 2) when the file cannot be read or is no TOML at all
[[nodiscard]] SweepFile read_sweep_file(const std::filesystem::path& file, std::vector<std::string>& faults);

}  // namespace xtasc::sweep
