#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/run_config.hpp"

namespace xtasc::sweep {

/// One run that a sweep asks for.
struct PlannedRun {
  config::RunConfig config;  ///< resolved; run.output is the sweep's folder
  std::string id;            ///< results::run_id(config): the name of its folder
  /// Its table row: the point's `name`, or the axes' values ("XTasC-Net", "lambda_1 = 0.01"). The same for all seeds,
  /// and for both halves of Base ST-Net.
  std::string row;
  /// What tells it from other rows, "section.key" and value as text, in the file's order: the axes of a grid, or all
  /// that a [[point]] sets.
  std::vector<std::pair<std::string, std::string>> axes;
  std::vector<std::string> assignments;  ///< section.key=value over the base config that give this run
};

/// Sizes of a data set, for the cost of runs whose pack is not on this machine.
struct DataShape {
  std::int64_t train = 0, val = 0;  ///< images
  std::int64_t height = 0, width = 0;
  std::int64_t classes = 0;
};

/// A sweep file, expanded: its runs have distinct ids and stand in the file's order, the seeds of a row together.
struct Sweep {
  std::filesystem::path file;
  std::string name;                               ///< the file's stem
  std::string title;                              ///< the name, where the file gives none
  std::filesystem::path folder;                   ///< <run.output>/<name>: the run folders lie in it
  std::filesystem::path base;                     ///< the base config
  std::vector<std::string> overrides;             ///< read_sweep's assignments
  std::vector<std::string> axes;                  ///< "section.key" of each grid and zip axis, in the file's order
  std::map<std::string, std::string> axis_names;  ///< of axes: what a table calls them; the last part of the key
  std::string baseline;                           ///< a row; empty: none
  std::int64_t ranks = 1;                         ///< ranks a run on this machine
  std::optional<DataShape> data;                  ///< [data_shape]; absent: not told
  std::vector<PlannedRun> runs;
};

/// Reads a sweep file and every config that it asks for.
/// \param assignments  "section.key=value" for all runs, over all that the file says
/// \throws Error (exit code 2) with every fault of the file and of its configs at once, each with its line
[[nodiscard]] Sweep read_sweep(const std::filesystem::path& file, const std::vector<std::string>& assignments = {});

}  // namespace xtasc::sweep
