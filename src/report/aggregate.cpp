#include "report/aggregate.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <set>
#include <utility>

#include "config/run_config.hpp"
#include "config/systems.hpp"
#include "core/error.hpp"
#include "report/delta_m.hpp"
#include "report/metric_columns.hpp"

namespace xtasc::report {

namespace {

/// What the rows of one group have in common.
using RowIdentity = std::vector<run::ConfigValues>;

RowIdentity row_identity(const Row& row) {
  RowIdentity identity;
  for (const run::RunSummary* run : row.runs) {
    identity.push_back(group_identity(*run));
    // A run that max_steps ended early, or one of a file that was copied, is not the same as a whole one.
    identity.back()["epochs done"] = fmt::format("{}", run->last.epoch);
  }
  return identity;
}

void add_seed(SeedGroup& group, const Row& row) {
  const std::int64_t seed = row.runs.front()->config.run.seed;
  const auto same = std::ranges::find(group.seeds, seed, &SeedResult::seed);
  if (same != group.seeds.end()) {
    group.notes.push_back(fmt::format("Seed {} is there twice: {} counts, {} does not", seed,
                                      same->runs.front()->folder.string(), row.runs.front()->folder.string()));
    return;
  }
  group.seeds.push_back({.seed = seed, .runs = row.runs, .metrics = row.metrics, .delta_m = row.delta_m});
}

void set_moments(SeedGroup& group) {
  std::ranges::sort(group.seeds, {}, &SeedResult::seed);
  std::map<std::string, std::vector<double>> values;
  std::vector<double> deltas;
  for (const SeedResult& seed : group.seeds) {
    for (const auto& [key, value] : seed.metrics) {
      values[key].push_back(value);
    }
    if (seed.delta_m) {
      deltas.push_back(*seed.delta_m);
    }
  }
  for (const auto& [key, of_seeds] : values) {
    group.metrics[key] = moments(of_seeds);
  }
  if (!deltas.empty()) {
    group.delta_m = moments(deltas);
  }
}

run::MetricValues means_of(const SeedGroup& group) {
  run::MetricValues means;
  for (const auto& [key, of_seeds] : group.metrics) {
    means[key] = of_seeds.mean;
  }
  return means;
}

/// The one row of single-task nets whose numbers may be set against the group's; of several, the one that is most like
/// it.
const SeedGroup* baseline_of(const SeedGroup& group, const std::vector<SeedGroup>& groups) {
  std::vector<const SeedGroup*> candidates;
  std::size_t fewest = task::all().size();  // tasks of them: one that has more is further off
  for (const SeedGroup& other : groups) {
    const task::Tasks tasks = tasks_of(other);
    const auto& system = config::system_of(group.first().config.model);
    if (!other.is_baseline() || !system.is_set_against(config::system_of(other.first().config.model)) ||
        !are_alike(other.first(), group.first()) || !covers(tasks, tasks_of(group)) || tasks.size() > fewest) {
      continue;
    }
    if (tasks.size() < fewest) {
      candidates.clear();
      fewest = tasks.size();
    }
    candidates.push_back(&other);
  }
  using Alike = std::function<bool(const run::RunSummary&, const run::RunSummary&)>;
  const std::vector<Alike> preferences = {
      keep_the_same_labels,
      [](const run::RunSummary& a, const run::RunSummary& b) {
        return a.config.run.precision == b.config.run.precision;
      },
      [](const run::RunSummary& a, const run::RunSummary& b) {
        return a.config.train.batch_size == b.config.train.batch_size;
      },
      [](const run::RunSummary& a, const run::RunSummary& b) { return run::are_side_by_side(a, b); }};
  for (const Alike& alike : preferences) {
    std::vector<const SeedGroup*> kept;
    std::ranges::copy_if(candidates, std::back_inserter(kept),
                         [&](const SeedGroup* other) { return alike(other->first(), group.first()); });
    candidates = kept.empty() ? std::move(candidates) : std::move(kept);
  }
  return candidates.size() == 1 ? candidates.front() : nullptr;
}

}  // namespace

run::ConfigValues group_identity(const run::RunSummary& run) {
  run::ConfigValues identity = run::identity_values(run.config);
  identity.erase("run.seed");
  // Rows of one table are of one pack, and each seed has teachers of its own.
  std::erase_if(identity, [](const auto& entry) { return run::is_digest_key(entry.first); });
  for (const auto& [task, recipe] : run.provenance.teacher_recipes) {
    identity[fmt::format("distillation.teacher_{}", task)] = recipe;
  }
  identity[std::string(run::kWeightsDigestKey)] = run::weights_of(run.config.model);
  return identity;
}

std::vector<SeedGroup> aggregate(const Table& table) {
  std::vector<SeedGroup> groups;
  std::map<RowIdentity, std::size_t> index;
  for (const Row& row : table.rows) {
    const auto [entry, is_new] = index.emplace(row_identity(row), groups.size());
    if (is_new) {
      SeedGroup group;
      group.model = row.model;
      group.encoder = row.encoder;
      group.weighting = row.weighting;
      group.num_parameters = row.num_parameters;
      group.delta_form = table.delta_form;
      group.is_lone_part = row.runs.size() == 1 && !config::system_of(row.runs.front()->config.model).part_of.empty();
      if (group.is_lone_part && row.footnote) {
        group.notes.push_back(table.footnotes[*row.footnote]);
      }
      groups.push_back(std::move(group));
    }
    add_seed(groups[entry->second], row);
  }
  std::ranges::for_each(groups, set_moments);
  for (SeedGroup& group : groups) {
    if (const SeedGroup* baseline = baseline_of(group, groups)) {
      group.delta_m_of_means = delta_m(means_of(group), means_of(*baseline), tasks_of(group), table.delta_form);
    }
  }
  return groups;
}

std::vector<std::filesystem::path> folders_of(const SeedGroup& group) {
  std::vector<std::filesystem::path> folders;
  for (const SeedResult& seed : group.seeds) {
    std::ranges::transform(seed.runs, std::back_inserter(folders), &run::RunSummary::folder);
  }
  return folders;
}

std::optional<Moments> moments_of(const SeedGroup& group, std::string_view metric) {
  if (metric == "delta_m") {
    return group.delta_m;
  }
  const auto found = group.metrics.find(std::string(metric));
  return found == group.metrics.end() ? std::nullopt : std::optional(found->second);
}

task::Tasks tasks_of(const SeedGroup& group) {
  return tasks_of(group.seeds.front().runs);
}

task::Tasks tasks_of(std::span<const SeedGroup> groups) {
  return tasks_of(runs_of(groups));
}

std::vector<const run::RunSummary*> runs_of(std::span<const SeedGroup> groups) {
  std::vector<const run::RunSummary*> runs;
  for (const SeedGroup& group : groups) {
    runs.insert(runs.end(), group.seeds.front().runs.begin(), group.seeds.front().runs.end());
  }
  return runs;
}

std::string value_of(const SeedGroup& group, const std::string& key) {
  std::vector<std::string> values;
  for (const run::RunSummary* run : group.seeds.front().runs) {
    const run::ConfigValues all = run::config_values(run->config);
    const auto found = all.find(key);
    const std::string value = found == all.end() ? std::string() : run::shown_value(found->second);
    if (std::ranges::find(values, value) == values.end()) {
      values.push_back(value);
    }
  }
  return fmt::format("{}", fmt::join(values, " + "));
}

SeedPairs paired_values(const SeedGroup& a, const SeedGroup& b, const std::string& metric) {
  const auto value = [&metric](const SeedResult& seed) -> std::optional<double> {
    if (metric == "delta_m") {
      return seed.delta_m;
    }
    const auto found = seed.metrics.find(metric);
    return found == seed.metrics.end() ? std::nullopt : std::optional(found->second);
  };
  SeedPairs pairs;
  const auto set_against = [](const SeedGroup& group) {
    return config::system_of(group.first().config.model).set_against;
  };
  if (metric == "delta_m" && set_against(a) != set_against(b)) {
    return pairs;  // over different nets
  }
  for (const SeedResult& of_a : a.seeds) {
    const auto of_b = std::ranges::find(b.seeds, of_a.seed, &SeedResult::seed);
    if (of_b != b.seeds.end() && value(of_a) && value(*of_b)) {
      pairs.seeds.push_back(of_a.seed);
      pairs.a.push_back(*value(of_a));
      pairs.b.push_back(*value(*of_b));
    }
  }
  return pairs;
}

}  // namespace xtasc::report
