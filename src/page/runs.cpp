#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "io/file.hpp"
#include "page/json_parts.hpp"
#include "report/aggregate.hpp"
#include "report/series_names.hpp"
#include "report/table_markdown.hpp"
#include "run/config_values.hpp"
#include "run/run_folder.hpp"

namespace xtasc::page {

namespace {

using json_fields::Json;
namespace fs = std::filesystem;

constexpr std::string_view kWarning = "warning: ";
constexpr std::size_t kMostWarnings = 40;          ///< of a run
constexpr std::size_t kMostWarningsOfPage = 1000;  ///< but one of each run at least

/// The warnings in what a run printed, each once, with how often it came; empty without a log.txt.
std::vector<std::string> warnings_of(const run::RunFolder& folder) {
  std::vector<std::pair<std::string, int>> found;
  std::error_code error;
  if (!fs::is_regular_file(folder.log(), error)) {
    return {};
  }
  const std::string log = io::read_file(folder.log());
  for (std::size_t at = log.find(kWarning); at != std::string::npos; at = log.find(kWarning, at)) {
    at += kWarning.size();
    const std::string text = log.substr(at, log.find('\n', at) - at);
    const auto same = std::ranges::find(found, text, &std::pair<std::string, int>::first);
    if (same != found.end()) {
      ++same->second;
    } else if (found.size() < kMostWarnings) {
      found.emplace_back(text, 1);
    }
  }
  std::vector<std::string> warnings;
  warnings.reserve(found.size());
  for (const auto& [text, count] : found) {
    warnings.push_back(count == 1 ? text : fmt::format("{} ({} times)", text, count));
  }
  return warnings;
}

/// What lies in a run's folder. \throws Error where it cannot be read
PageRun read_run(const fs::path& path) {
  const run::RunFolder folder{path};
  PageRun run{.folder = path,
              .name = {},
              .state = "done",
              .config = config::read_written_config(folder.config()),
              .provenance = run::read_provenance(folder.provenance()),
              .epochs = {}};
  run.epochs = run::read_metrics(folder.metrics(), run::digests_of(run.config));
  run.warnings = warnings_of(folder);
  if (const std::string change = run::difference_of_last_starts(run.provenance); !change.empty()) {
    run.warnings.push_back(fmt::format("its last start differs from the one before: {}", change));
  }
  return run;
}

std::string name_of(const report::SeedGroup& group, const std::string& name, std::size_t part) {
  const run::RunSummary& run = *group.seeds.front().runs.at(part);
  return group.seeds.front().runs.size() == 1
             ? name
             : fmt::format("{}: {}", name, task::of_key(config::system_of(run.config.model).tasks.front()).name);
}

std::string seconds_text(double seconds) {
  return seconds < 120.0    ? fmt::format("{:.1f} s", seconds)
         : seconds < 7200.0 ? fmt::format("{:.1f} min", seconds / 60.0)
                            : fmt::format("{:.1f} h", seconds / 3600.0);
}

/// The time of each phase over all epochs: "train 12.3 min, evaluate 20.1 s".
std::string phases_text(const PageRun& run) {
  std::map<std::string, double> seconds;
  for (const run::EpochRecord& epoch : run.epochs) {
    for (const auto& [phase, of_epoch] : epoch.seconds) {
      seconds[phase] += of_epoch;
    }
  }
  std::string text;
  for (const auto& [phase, sum] : seconds) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", phase, seconds_text(sum));
  }
  return text;
}

/// Equal texts once.
std::string told_once(const std::vector<std::string>& texts) {
  std::vector<std::string> each;
  for (const std::string& text : texts) {
    if (std::ranges::find(each, text) == each.end()) {
      each.push_back(text);
    }
  }
  return fmt::format("{}", fmt::join(each, ", "));
}

/// What a reader may want to know of where the numbers come from, line by line; empty values are left out.
Json facts_of(const PageRun& run) {
  const run::Provenance& from = run.provenance;
  std::vector<std::string> libraries;
  for (const auto& [name, version] : from.libraries) {
    libraries.push_back(fmt::format("{} {}", name, version));
  }
  const std::vector<std::pair<const char*, std::string>> lines = {
      {"Folder", run.folder.string()},
      {"Software", from.version},
      {"Git revision", from.commit + (from.diff_hash.empty() ? "" : fmt::format(", with changes {}", from.diff_hash))},
      {"Build", fmt::format("{}{}{}", from.build_type, from.compiler.empty() ? "" : ", ", from.compiler)},
      {"Libraries", fmt::format("{}", fmt::join(libraries, ", "))},
      {"Hosts", told_once(from.hosts)},
      {"Devices", told_once(from.devices)},
      {"Ranks", run::ranks_text(from)},
      {"Precision", from.precision},
      {"Parameters", fmt::format("{}", from.num_parameters)},
      {"Started", from.started},
      {"Resumed", fmt::format("{}", fmt::join(from.resumed, ", "))},
      {"Finished", from.finished},
      {"Time by phase", phases_text(run)},
      {"Pack", fmt::format("{} ({})", from.pack_path, report::data_text(from))},
      {"Pack digest", from.pack_digest},
      {"Command", fmt::format("{}", fmt::join(from.command_line, " "))}};
  Json facts = Json::array();
  for (const auto& [label, value] : lines) {
    if (!value.empty()) {
      facts.push_back({label, value});
    }
  }
  return facts;
}

std::vector<std::string> first_of(const std::vector<std::string>& warnings, std::size_t wanted) {
  const std::size_t count = std::min(warnings.size(), std::max<std::size_t>(wanted, 1));
  std::vector<std::string> first(warnings.begin(), warnings.begin() + static_cast<std::ptrdiff_t>(count));
  if (count < warnings.size()) {
    first.push_back(fmt::format("and {} more: see its log.txt", warnings.size() - count));
  }
  return first;
}

}  // namespace

void add_runs(Page& page, const run::LoadedRuns& loaded, const std::vector<report::Table>& tables) {
  const auto add = [&page](const fs::path& folder, std::string name, std::size_t style) {
    page.runs.push_back(read_run(folder));
    page.runs.back().name = std::move(name);
    page.runs.back().style = style;
    return page.runs.size() - 1;
  };
  std::size_t style = 0;
  std::set<fs::path> shown;
  for (const report::Table& table : tables) {
    if (table.protocol != tables.front().protocol) {
      continue;
    }
    const std::vector<report::SeedGroup> groups = report::aggregate(table);
    const std::vector<std::string> names = report::series_names(groups, {});
    for (std::size_t i = 0; i < groups.size(); ++i, ++style) {
      for (std::size_t part = 0; part < groups[i].seeds.front().runs.size(); ++part) {
        PageGroup group{.name = name_of(groups[i], names[i], part), .style = style, .runs = {}};
        for (const report::SeedResult& seed : groups[i].seeds) {
          const fs::path& folder = seed.runs.at(part)->folder;
          if (shown.insert(folder).second) {
            group.runs.push_back(add(
                folder, groups[i].seeds.size() == 1 ? group.name : fmt::format("{}, seed {}", group.name, seed.seed),
                style));
          }
        }
        page.groups.push_back(std::move(group));
      }
    }
  }
  for (const run::RunSummary& run : loaded.runs) {  // a seed that is there twice: one is of its group
    if (shown.insert(run.folder).second) {
      const std::size_t index = add(run.folder, run.folder.string(), style);
      page.groups.push_back({.name = page.runs[index].name, .style = style++, .runs = {index}});
    }
  }
  for (const run::LeftOutRun& run : loaded.left_out) {
    try {
      const std::size_t index = add(run.folder, run.folder.filename().string(), style);
      page.runs[index].state = run.reason;
      page.groups.push_back({.name = page.runs[index].name, .style = style++, .runs = {index}});
    } catch (const std::exception&) {  // the reason why it is left out is told all the same
    }
  }
  std::erase_if(page.groups, [](const PageGroup& group) { return group.runs.empty(); });
  page.left_out = loaded.left_out;
}

std::string data_key(const run::Provenance& from) {
  return fmt::format("{}{}{}", report::data_text(from), from.pack_digest.empty() ? "" : ", pack ",
                     from.pack_digest.substr(0, 12));
}

Json runs_json(const Page& page) {
  std::vector<run::ConfigValues> configs;
  std::map<std::string, std::set<std::string>> values;
  for (const PageRun& run : page.runs) {
    configs.push_back(run::config_values(run.config));
    for (const auto& [key, value] : configs.back()) {
      values[key].insert(value);
    }
  }
  const auto is_common = [&values, &page](const std::string& key) {
    return page.runs.size() > 1 && values[key].size() == 1;
  };
  Json common = Json::object();
  Json runs = Json::array();
  for (std::size_t i = 0; i < page.runs.size(); ++i) {
    Json own = Json::object();
    for (const auto& [key, value] : configs[i]) {
      (is_common(key) ? common : own)[key] = run::shown_value(value);
    }
    const PageRun& run = page.runs[i];
    runs.push_back({{"name", run.name},
                    {"folder", run.folder.string()},
                    {"state", run.state},
                    {"style", run.style},
                    {"data", data_key(run.provenance)},
                    {"config", std::move(own)},
                    {"facts", facts_of(run)},
                    {"warnings", first_of(run.warnings, kMostWarningsOfPage / page.runs.size())}});
  }
  return {{"common", std::move(common)}, {"runs", std::move(runs)}};
}

}  // namespace xtasc::page
