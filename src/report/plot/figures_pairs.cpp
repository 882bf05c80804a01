#include <algorithm>
#include <functional>
#include <iterator>
#include <set>
#include <utility>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "report/plot/figures.hpp"
#include "report/series_names.hpp"

namespace xtasc::report {

namespace {

constexpr const char* kPairsKey = "model.transfer_pairs";

/// The keys by which two groups are not the same net; those that only one of them has do not count.
std::set<std::string> differing_keys(const SeedGroup& a, const SeedGroup& b) {
  const run::ConfigValues of_a = group_identity(a.first());
  std::set<std::string> keys;
  for (const auto& [key, value] : group_identity(b.first())) {
    const auto found = of_a.find(key);
    if (found != of_a.end() && found->second != value) {
      keys.insert(key);
    }
  }
  return keys;
}

/// Groups of a single pair, which differ in nothing else.
std::vector<SeedGroup> groups_of_pairs(const std::vector<SeedGroup>& groups) {
  std::vector<SeedGroup> pairs;
  std::ranges::copy_if(groups, std::back_inserter(pairs),
                       [](const SeedGroup& group) { return group.first().config.model.transfer_pairs.size() == 1; });
  check(!pairs.empty(),
        "no finished run has a single pair in {}, e.g. [\"seg>depth\"]; sweeps/pairs_scenes.toml trains such runs",
        kPairsKey);
  for (const SeedGroup& pair : pairs) {
    std::set<std::string> keys = differing_keys(pairs.front(), pair);
    keys.erase(kPairsKey);
    check(keys.empty() && are_alike(pairs.front().first(), pair.first()),
          "{} and {} are runs of one pair that differ in {}, and a figure is of nets alike but for pair and seed: give "
          "the folders of one setting",
          pairs.front().first().folder.string(), pair.first().folder.string(),
          keys.empty() ? "the epochs done" : fmt::format("{}", fmt::join(keys, ", ")));
  }
  return pairs;
}

/// The nets without transfer that are like those of the pairs in all else.
const SeedGroup& without_transfer(const std::vector<SeedGroup>& groups, const SeedGroup& pair) {
  const config::System& system = config::system_of(pair.first().config.model);
  std::string others;
  for (const SeedGroup& group : groups) {
    const config::ModelSection& model = group.first().config.model;
    if (model.system != "base_mt" || config::system_of(model).tasks != system.tasks) {
      continue;
    }
    std::set<std::string> keys = differing_keys(pair, group);
    std::erase_if(keys,
                  [](const std::string& key) { return key == "model.system" || key.starts_with("loss.lambda_"); });
    if (keys.empty() && are_alike(pair.first(), group.first())) {
      return group;
    }
    others += fmt::format("; {} differs in {}", group.first().folder.string(),
                          keys.empty() ? "the epochs done" : fmt::format("{}", fmt::join(keys, ", ")));
  }
  throw Error(
      fmt::format("no finished base_mt run of {} that is like {} but for the transfer: pairs are set against "
                  "it{}",
                  fmt::join(system.tasks, ", "), pair.first().folder.string(), others));
}

/// Why the table has no Delta_m for a net; of the single-task nets of its tasks, which have no finished run.
std::string why_no_delta_m(const Table& table, const SeedGroup& group) {
  const config::System& system = config::system_of(group.first().config.model);
  std::vector<const config::System*> missing = config::baseline_of(system, tasks_of(group));
  for (const Row& row : table.rows) {
    for (const run::RunSummary* run : row.runs) {
      std::erase_if(missing, [&](const config::System* part) {
        return part == &config::system_of(run->config.model) && are_alike(*run, group.first());
      });
    }
  }
  if (!missing.empty()) {
    return fmt::format("no finished run of {} that trained as long, with the same encoder", config::words_of(missing));
  }
  for (const Row& row : table.rows) {
    if (row.footnote && std::ranges::count(group.seeds, row.runs, &SeedResult::runs) > 0) {
      return table.footnotes[*row.footnote];
    }
  }
  return "no seed of a pair is one of base_mt, too";
}

MatrixCell cell_of(const Moments& change) {
  return {.value = change.mean,
          .text = fmt::format("{:+.2f}", change.mean) +
                  (change.deviation ? fmt::format("\n\u00b1 {:.2f}", *change.deviation) : "")};
}

}  // namespace

Matrix pairs_matrix(const Table& table) {
  const std::vector<SeedGroup> groups = aggregate(table);
  const std::vector<SeedGroup> pairs = groups_of_pairs(groups);
  const SeedGroup& base = without_transfer(groups, pairs.front());
  const run::RunSummary& first = pairs.front().first();
  Matrix matrix{.title = fmt::format("Which task helps which: {} with one pair alone, against {}", pairs.front().model,
                                     base.model),
                .subtitle = "",
                .row_label = "from",
                .column_label = "to",
                .scale_label = fmt::format("change of \u0394m,\n{} is better",
                                           table.delta_form.lower_is_better() ? "lower" : "higher"),
                .lower_is_better = table.delta_form.lower_is_better(),
                .names = {},
                .cells = {}};
  const task::Tasks tasks = config::tasks_of(config::system_of(first.config.model));
  std::set<std::size_t> num_seeds;
  for (const task::Task& from : tasks) {
    matrix.names.emplace_back(from.name);
    std::vector<MatrixCell>& row = matrix.cells.emplace_back();
    for (const task::Task& to : tasks) {
      row.emplace_back();
      const std::vector<std::string> pair = {fmt::format("{}>{}", from.key, to.key)};
      const auto found = std::ranges::find_if(
          pairs, [&pair](const SeedGroup& group) { return group.first().config.model.transfer_pairs == pair; });
      if (found == pairs.end()) {
        continue;
      }
      const SeedPairs values = paired_values(*found, base, "delta_m");
      if (!values.seeds.empty()) {
        std::vector<double> changes;
        std::ranges::transform(values.a, values.b, std::back_inserter(changes), std::minus<>());
        row.back() = cell_of(moments(changes));
        num_seeds.insert(changes.size());
      }
    }
  }
  check(!num_seeds.empty(), "no \u0394m to show the change of: {}", why_no_delta_m(table, pairs.front()));
  matrix.subtitle =
      fmt::format("\u0394m in percentage points; {}; {}",
                  shown_text(first.provenance, num_seeds, table.protocol, "\u00b1"), text_of(table.checkpoint));
  return matrix;
}

}  // namespace xtasc::report
