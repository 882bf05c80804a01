#include "report/paper/paper_match.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "run/config_values.hpp"

namespace xtasc::report {

namespace {

/// Keys that say where and how a run computed, or that a row looks at by itself.
constexpr std::array<const char*, 4> kNotCompared = {"run.seed", "run.device", "data.label_set", "train.deterministic"};

/// The paper does not name it, and runs of one row share it.
constexpr std::string_view kUnsaid = "run.precision";

run::ConfigValues compared(const config::RunConfig& config) {
  run::ConfigValues values = run::identity_values(config);
  for (const char* key : kNotCompared) {
    values.erase(key);
  }
  std::erase_if(values, [](const auto& entry) { return run::is_digest_key(entry.first); });
  return values;
}

/// How one pack's runs depart from the paper's settings, and which pack that is.
struct Settings {
  run::ConfigValues departures;  ///< config key -> value, as TOML
  std::int64_t height = 0, width = 0;
  std::string pack_digest;

  auto operator<=>(const Settings&) const = default;  // NOLINT(modernize-use-nullptr): of the generated comparison
};

/// Whether the run predicts nothing that the paper's tables do not know.
bool has_only(const config::RunConfig& config, const std::array<std::string_view, 2>& tasks) {
  return std::ranges::all_of(config::system_of(config.model).tasks,
                             [&tasks](std::string_view task) { return std::ranges::find(tasks, task) != tasks.end(); });
}

/// Is the group what the row stands for, whatever its other settings?
bool is_of_row(const SeedGroup& group, const PublishedTable& table, const PublishedRow& row) {
  const run::RunSummary& run = group.first();
  const config::RunConfig& config = run.config;
  return !group.is_lone_part && run.provenance.pack_dataset == table.data->dataset &&
         run.provenance.pack_num_classes == table.data->num_classes &&
         label_of(row) == config::system_of(config.model).label && has_only(config, table.data->tasks) &&
         config.model.encoder_weights.empty() != row.is_pretrained &&
         config.weighting.method == weighting_of(table, row) &&
         (row.encoder.empty() || config::name(config.model.encoder) == row.encoder);
}

/// Assignments of what a run predicts, where its system leaves that open.
std::vector<std::string> tasks_of(const config::RunConfig& config) {
  return config::system_of(config.model).uses("model.tasks")
             ? std::vector{fmt::format("model.tasks={}", run::config_values(config).at("model.tasks"))}
             : std::vector<std::string>();
}

/// \returns  absent when a departure says nothing to the row's own config (a key of another weighting method)
std::optional<config::RunConfig> expected_config(const PublishedTable& table, const PublishedRow& row,
                                                 const config::RunConfig& of, const run::ConfigValues& departures) {
  std::vector<std::string> assignments = tasks_of(of);
  for (const auto& [key, value] : departures) {
    assignments.push_back(fmt::format("{}={}", key, value));
  }
  try {
    return paper_config(table, row, of.model.system, assignments);
  } catch (const Error&) {
    return std::nullopt;
  }
}

Settings found_settings_of(const SeedGroup& group, const PublishedTable& table, const PublishedRow& row) {
  const run::Provenance& from = group.first().provenance;
  Settings settings{
      .departures = {}, .height = from.pack_height, .width = from.pack_width, .pack_digest = from.pack_digest};
  for (const run::RunSummary* run : group.seeds.front().runs) {
    const run::ConfigValues paper = compared(paper_config(table, row, run->config.model.system, tasks_of(run->config)));
    for (const auto& [key, value] : compared(run->config)) {
      const auto found = paper.find(key);
      if (found == paper.end() || found->second != value) {
        settings.departures[key] = value;
      }
    }
  }
  return settings;
}

/// Does the group have just these settings? Keys that its system resolves by itself (lambda of Base MT-Net) are as they
/// should be.
bool has_settings(const SeedGroup& group, const PublishedTable& table, const PublishedRow& row,
                  const Settings& settings) {
  const run::Provenance& from = group.first().provenance;
  if (std::tie(from.pack_height, from.pack_width, from.pack_digest) !=
      std::tie(settings.height, settings.width, settings.pack_digest)) {
    return false;
  }
  return std::ranges::all_of(group.seeds.front().runs, [&](const run::RunSummary* run) {
    const auto expected = expected_config(table, row, run->config, settings.departures);
    return expected && compared(*expected) == compared(run->config);
  });
}

bool is_as_printed(const Settings& settings, const PaperData& data) {
  return settings.height == data.height && settings.width == data.width &&
         std::ranges::all_of(settings.departures, [](const auto& entry) { return entry.first == kUnsaid; });
}

/// What the paper has where the filled rows depart from it, each row's own value once: "2, 4 or 6".
std::string paper_values_of(const std::string& key, const PublishedTable& table, const std::vector<PublishedRow>& rows,
                            const std::vector<const SeedGroup*>& groups) {
  std::vector<std::string> values;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (groups[i] == nullptr) {
      continue;
    }
    const config::RunConfig& ours = groups[i]->first().config;
    const run::ConfigValues paper = compared(paper_config(table, rows[i], ours.model.system, tasks_of(ours)));
    const auto found = paper.find(key);
    if (found == paper.end()) {
      continue;
    }
    std::string value = run::shown_value(found->second);
    if (std::ranges::find(values, value) == values.end()) {
      values.push_back(std::move(value));
    }
  }
  if (values.size() < 2) {
    return values.empty() ? "default" : values.front();
  }
  const std::string last = values.back();
  values.pop_back();
  return fmt::format("{} or {}", fmt::join(values, ", "), last);
}

std::vector<std::string> departure_texts(const Settings& settings, const PublishedTable& table,
                                         const std::vector<PublishedRow>& rows,
                                         const std::vector<const SeedGroup*>& groups) {
  std::vector<std::string> texts;
  if (settings.height != table.data->height || settings.width != table.data->width) {
    texts.push_back(fmt::format("{} x {} pixels (paper: {} x {})", settings.height, settings.width, table.data->height,
                                table.data->width));
  }
  for (const auto& [key, value] : settings.departures) {
    texts.push_back(fmt::format("{} {} (paper: {})", key, run::shown_value(value),
                                key == kUnsaid ? "not said" : paper_values_of(key, table, rows, groups)));
  }
  return texts;
}

/// The published rows and, in the tables of encoders, a row for each deeper one that the paper lacks.
std::vector<PublishedRow> wanted_rows(const PublishedTable& table) {
  std::vector<PublishedRow> rows = table.rows;
  for (const char* encoder : {"resnet101", "resnet152"}) {
    if (table.layout == PaperLayout::encoders &&
        std::ranges::find(rows, encoder, &PublishedRow::encoder) == rows.end()) {
      PublishedRow row;
      row.model = "XTasC-Net";
      row.encoder = encoder;
      rows.push_back(row);
    }
  }
  return rows;
}

/// One way to fill the rows: all with the same settings.
struct Filling {
  Settings settings;
  std::vector<const SeedGroup*> groups;
  std::size_t num_filled = 0, num_seeds = 0;
};

using Candidates = std::vector<std::vector<const SeedGroup*>>;

Filling fill(const PublishedTable& table, const std::vector<PublishedRow>& rows, const Candidates& candidates,
             const Settings& settings) {
  Filling filling{.settings = settings, .groups = {}, .num_filled = 0, .num_seeds = 0};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const SeedGroup* best = nullptr;
    for (const SeedGroup* group : candidates[i]) {
      if (has_settings(*group, table, rows[i], settings) &&
          (best == nullptr || group->seeds.size() > best->seeds.size())) {
        best = group;
      }
    }
    filling.groups.push_back(best);
    filling.num_filled += best == nullptr ? 0 : 1;
    filling.num_seeds += best == nullptr ? 0 : best->seeds.size();
  }
  return filling;
}

}  // namespace

config::RunConfig paper_config(const PublishedTable& table, const PublishedRow& row, const std::string& system,
                               const std::vector<std::string>& extra) {
  std::vector<std::string> assignments = settings_of(table, row);
  assignments.push_back(fmt::format("model.system={}", system));
  assignments.insert(assignments.end(), extra.begin(), extra.end());
  return config::run_config_of(assignments);
}

PaperMatch match_paper(const PublishedTable& table, std::span<const SeedGroup> groups, PaperSettings settings) {
  PaperMatch match{.rows = wanted_rows(table), .groups = {}, .departures = {}};
  Candidates candidates;
  std::set<Settings> all_settings;
  std::set<const SeedGroup*> all_candidates;
  for (const PublishedRow& row : match.rows) {
    candidates.emplace_back();
    for (const SeedGroup& group : groups) {
      if (is_ours(row) && is_of_row(group, table, row)) {
        candidates.back().push_back(&group);
        all_candidates.insert(&group);
        all_settings.insert(found_settings_of(group, table, row));
      }
    }
  }
  std::optional<Filling> best;
  const auto rank = [](const Filling& filling) {
    return std::tuple(filling.num_filled, -static_cast<std::ptrdiff_t>(filling.settings.departures.size()),
                      filling.num_seeds);
  };
  for (const Settings& candidate : all_settings) {
    if (settings == PaperSettings::reduced || is_as_printed(candidate, *table.data)) {
      Filling filling = fill(table, match.rows, candidates, candidate);
      if (!best || rank(filling) > rank(*best)) {
        best = std::move(filling);
      }
    }
  }
  match.groups = best ? best->groups : std::vector<const SeedGroup*>(match.rows.size(), nullptr);
  match.departures =
      best ? departure_texts(best->settings, table, match.rows, best->groups) : std::vector<std::string>{};
  std::set<const SeedGroup*> shown(match.groups.begin(), match.groups.end());
  match.num_other_groups = static_cast<std::size_t>(
      std::ranges::count_if(all_candidates, [&shown](const SeedGroup* group) { return !shown.contains(group); }));
  // Rows that the paper lacks are there only where a run is.
  for (std::size_t i = match.rows.size(); i-- > table.rows.size();) {
    if (match.groups[i] == nullptr) {
      match.rows.erase(match.rows.begin() + static_cast<std::ptrdiff_t>(i));
      match.groups.erase(match.groups.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  return match;
}

}  // namespace xtasc::report
