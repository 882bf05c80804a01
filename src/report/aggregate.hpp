#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "report/statistics.hpp"
#include "report/table.hpp"
#include "run/config_values.hpp"
#include "task/task.hpp"

namespace xtasc::report {

/// One seed of a net: a row of a table of single seeds.
struct SeedResult {
  std::int64_t seed = 0;
  std::vector<const run::RunSummary*> runs;  ///< one; of a row of several parts one a part, in their order
  run::MetricValues metrics;                 ///< shares, not percent
  std::optional<double> delta_m;             ///< percent, against the single-task nets of this seed
};

/// What is the same but for the seed: same pack, same config (of a row of several parts those of all).
struct SeedGroup {
  std::string model, encoder, weighting;  ///< as in Row
  std::int64_t num_parameters = 0;
  DeltaForm delta_form = {};               ///< of the group's Delta_m
  bool is_lone_part = false;               ///< of a row of several parts only one is there
  std::vector<SeedResult> seeds;           ///< by seed, each once
  std::map<std::string, Moments> metrics;  ///< over the seeds that have the metric
  std::optional<Moments> delta_m;          ///< of the seeds' own Delta_m, over the seeds that have one
  std::optional<double> delta_m_of_means;  ///< of the means against those of the single-task nets
  std::vector<std::string> notes;          ///< what a reader should know: a seed that was there twice, a missing part

  [[nodiscard]] const run::RunSummary& first() const { return *seeds.front().runs.front(); }
  [[nodiscard]] bool is_baseline() const { return seeds.front().runs.size() > 1; }
};

/// Groups the rows of a table over their seeds, in the order of the table's rows. Points into the table's runs.
/// Where a seed is there twice, the first folder counts and a note names the other.
[[nodiscard]] std::vector<SeedGroup> aggregate(const Table& table);

/// Of all its runs.
[[nodiscard]] std::vector<std::filesystem::path> folders_of(const SeedGroup& group);

/// A metric, or "delta_m", of the group over its seeds; absent where no seed has it.
[[nodiscard]] std::optional<Moments> moments_of(const SeedGroup& group, std::string_view metric);

/// The tasks of the group, of the groups: as tasks_of their runs has them (metric_columns.hpp).
[[nodiscard]] task::Tasks tasks_of(const SeedGroup& group);
[[nodiscard]] task::Tasks tasks_of(std::span<const SeedGroup> groups);
/// Of one seed a group.
[[nodiscard]] std::vector<const run::RunSummary*> runs_of(std::span<const SeedGroup> groups);

/// The values of a config key in the group's runs, told once where they agree: "xtasc", "base_st_seg + base_st_depth".
/// Empty where no run has the key.
[[nodiscard]] std::string value_of(const SeedGroup& group, const std::string& key);

/// The keys that decide the numbers of the group's runs, but for the seed and the pack: what `aggregate` groups by.
[[nodiscard]] run::ConfigValues group_identity(const run::RunSummary& run);

/// A metric, or "delta_m", of the seeds that both groups have, in the order of the seeds: what a paired test wants.
struct SeedPairs {
  std::vector<std::int64_t> seeds;
  std::vector<double> a, b;
};
[[nodiscard]] SeedPairs paired_values(const SeedGroup& a, const SeedGroup& b, const std::string& metric);

}  // namespace xtasc::report
