#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/run_config.hpp"

namespace xtasc::sweep {

/// One run that a sweep asks for.
struct PlannedRun {
  config::RunConfig config;  ///< resolved; run.output is the sweep's folder
  std::string id;            ///< run::run_id(config): the name of its folder; NAME-?... where lacks is set
  /// The key of a file that decides the id and whose content nobody knows here: "data.pack", "model.encoder_weights".
  /// Empty: the config's digests are those of its files.
  std::string lacks = {};
  std::vector<std::string> recorded = {};  ///< where lacks is set: the digests that runs of the folder had, if several
  std::set<std::string> were_read = {};    ///< keys of files whose digest is that of the file here: no key gave it
  std::filesystem::path done_before = {};  ///< where a version that knew files by their paths did this run; or empty
  /// Its table row: the point's `name`, or the axes' values ("XTasC-Net", "lambda_1 = 0.01"). The same for all seeds,
  /// and for both halves of Base ST-Net.
  std::string row;
  /// What tells it from other rows, "section.key" and value as text, in the file's order: the axes of a grid, or all
  /// that a [[point]] sets.
  std::vector<std::pair<std::string, std::string>> axes;
  std::vector<std::string> assignments;  ///< section.key=value over the base config that give this run
  /// Ids of the sweep's runs that must be DONE before this one starts: its teachers, in the order of their tasks.
  std::vector<std::string> needs = {};

  /// Whether its folder has a name. A run without one can be planned, but neither found nor started.
  [[nodiscard]] bool has_id() const { return lacks.empty(); }
};

/// A run in a sweep's folder that is one of its rows on a pack that holds something else.
struct RunOnOtherPack {
  std::filesystem::path folder;
  std::string pack_digest;
};

/// [stop]: successive halving. When all rows have reached the epoch of a rung, the worse ones are halted there.
struct Stop {
  std::vector<std::int64_t> after_epochs = {};  ///< the rungs, rising
  double keep = 0.5;                            ///< the share of the rows of each rung that go on, in (0, 1)
  std::string by = "delta_m";                   ///< what rows are ranked by: Delta_m, or the key of a metric
  std::string protocol = "paper";               ///< whose metrics: "paper" or "dataset"
};

/// Sizes of a data set, for the cost of runs whose pack is not on this machine.
struct DataShape {
  std::int64_t train = 0, val = 0;  ///< images
  std::int64_t height = 0, width = 0;
  std::int64_t classes = 0;
};

/// ranks = "auto".
inline constexpr std::int64_t kAutoRanks = 0;

/// How many ranks a run on this machine has. On a cluster the site file says it.
struct RanksWish {
  std::int64_t number = 1;  ///< kAutoRanks: as many as the machine has use for (ranks_in, sweep/local/slots.hpp)
  std::int64_t most = 0;    ///< max_ranks, with kAutoRanks; 0: no limit
};

/// A sweep file, expanded: its runs have distinct ids and stand in the file's order, the seeds of a row together.
struct Sweep {
  std::filesystem::path file;
  std::string name;                               ///< the file's stem
  std::string title;                              ///< the name, where the file gives none
  std::filesystem::path folder;                   ///< <run.output>/<name>: the run folders lie in it
  std::filesystem::path base;                     ///< the base config
  std::vector<std::string> overrides;             ///< read_sweep's assignments
  std::vector<std::string> axes;                  ///< "section.key" of each axis, in the file's order
  std::map<std::string, std::string> axis_names;  ///< of axes: what a table calls them; the last part of the key
  std::string baseline;                           ///< a row; empty: none
  RanksWish ranks;
  std::optional<DataShape> data;  ///< [data_shape]; absent: not told
  std::optional<Stop> stop = {};  ///< [stop]; absent: every row trains to its end
  std::string drawn = {};         ///< what [random] drew, for people; empty: there is none
  std::vector<PlannedRun> runs;
  std::vector<RunOnOtherPack> on_other_packs = {};
  /// Runs of this sweep that an earlier version began, which knew them by the paths of their files, and did not end.
  std::vector<std::filesystem::path> begun_before = {};
};

/// Reads a sweep file and every config that it asks for, and writes into each config what its files hold: of a pack the
/// digest in its header, of weights that of their bytes, unless a key names it already. Where a file is not here, the
/// runs of the sweep's folder may know it; else the run has no id yet (PlannedRun::lacks).
/// \param assignments  "section.key=value" for all runs, over all that the file says
/// \throws Error (exit code 2) with every fault of the file and of its configs at once, each with its line
[[nodiscard]] Sweep read_sweep(const std::filesystem::path& file, const std::vector<std::string>& assignments = {});

}  // namespace xtasc::sweep
