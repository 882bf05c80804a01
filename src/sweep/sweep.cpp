#include "sweep/sweep.hpp"

#include <algorithm>
#include <iterator>
#include <set>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/nearest.hpp"
#include "io/checksum.hpp"
#include "run/run_id.hpp"
#include "sweep/digests.hpp"
#include "sweep/expand.hpp"
#include "sweep/halving/race.hpp"
#include "sweep/needs.hpp"
#include "sweep/other_runs.hpp"

namespace fs = std::filesystem;

namespace xtasc::sweep {

namespace {

std::string joined_path(const fs::path& sweep_file, const std::string& relative) {
  return (sweep_file.parent_path() / relative).lexically_normal().string();
}

/// What is known of the files of a sweep's runs.
struct KnownDigests {
  FileDigests here;
  std::map<std::string, RecordedDigests> by_folder;

  RecordedDigests& recorded_in(const std::string& folder) {
    return by_folder.try_emplace(folder, folder).first->second;
  }
};

/// Writes the digests of the run's files into its config, and names what is not known.
void pin_files(PlannedRun& run, KnownDigests& known) {
  config::DataSection& data = run.config.data;
  const auto pin = [&](const std::string& key, std::string& digest, const std::optional<std::string>& here,
                       const auto& recorded) {
    if (here) {
      run.were_read.insert(key);
    }
    const std::set<std::string> digests = here ? std::set<std::string>{*here} : recorded();
    if (digests.size() != 1) {
      if (run.lacks.empty()) {
        run.lacks = key;
        run.recorded.assign(digests.begin(), digests.end());
      }
    } else {
      digest = *digests.begin();
      run.assignments.push_back(fmt::format("{}_digest={}", key, digest));
    }
  };
  RecordedDigests& recorded = known.recorded_in(run.config.run.output);
  if (data.pack_digest.empty()) {
    pin("data.pack", data.pack_digest, known.here.pack(data.pack), [&] { return recorded.pack(data.pack); });
  }
  for (const auto& [key, path, digest] : config::weights_keys(run.config)) {
    if (!path.empty() && digest.empty()) {
      pin(key, digest, known.here.weights(path), [&, &path = path] { return recorded.weights(path); });
    }
  }
}

/// A name for a run without an id, its own among all runs of the same files' paths.
std::string name_without_id(config::RunConfig config) {
  std::string text = fmt::format("{}\n{}", config::identity_text(config), config.data.pack);
  for (const config::WeightsKey& weights : config::weights_keys(config)) {
    text += "\n" + weights.path;
  }
  return fmt::format("{}-?{}", config.run.name, io::digest_hex(text).substr(0, 8));
}

/// Resolves one candidate with one seed. \param needed  the runs of the rows that it needs
/// \throws Error with the place of its row
PlannedRun planned(const Sweep& sweep, const SweepFile& file, const Candidate& candidate,
                   const std::vector<const PlannedRun*>& needed, std::optional<std::int64_t> seed, KnownDigests& known,
                   std::vector<std::string>& faults) {
  PlannedRun run{.config = {}, .id = {}, .row = candidate.row, .axes = {}, .assignments = {}};
  for (const Setting& setting : file.set) {
    run.assignments.push_back(setting.assignment());
  }
  for (const Setting& setting : candidate.settings) {
    run.assignments.push_back(setting.assignment());
    run.axes.emplace_back(setting.key, setting.value);
  }
  run.assignments.insert(run.assignments.end(), sweep.overrides.begin(), sweep.overrides.end());
  if (seed) {
    run.assignments.push_back(fmt::format("run.seed={}", *seed));
  }
  try {
    run.config = config::read_run_config(sweep.base, run.assignments);
  } catch (const Error& error) {
    fail_usage("{}: \"{}\": {}", candidate.where, candidate.row, error.what());
  }
  run.config.run.output = (fs::path(run.config.run.output) / sweep.name).string();
  run.assignments.push_back("run.output=" + run.config.run.output);
  pin_files(run, known);
  set_teachers(run, candidate, needed, faults);
  run.id = run.has_id() ? run::run_id(run.config) : name_without_id(run.config);
  return run;
}

/// The runs of each candidate, one a seed, in the candidates' order. Rows that others need are planned before them, so
/// that a student's id can be known.
std::vector<std::vector<PlannedRun>> planned_runs(const Sweep& sweep, const SweepFile& file,
                                                  const std::vector<Candidate>& candidates,
                                                  std::vector<std::string>& faults) {
  std::vector<std::optional<std::int64_t>> seeds(file.seeds.begin(), file.seeds.end());
  if (seeds.empty()) {
    seeds.emplace_back(std::nullopt);  // the base config's
  }
  KnownDigests known;
  std::vector<std::vector<PlannedRun>> runs(candidates.size());
  std::set<std::string> faulty_rows;
  for (const std::size_t c : order_by_needs(candidates, faults)) {
    const Candidate& candidate = candidates[c];
    const auto is_needed = [&](const std::string& row) {
      return std::ranges::find(candidate.needs, row, &Placed::text) != candidate.needs.end();
    };
    if (std::ranges::any_of(faulty_rows, is_needed)) {
      continue;  // whether it has its teachers shows when they are in order
    }
    std::vector<const PlannedRun*> needed;
    for (std::size_t other = 0; other < candidates.size() && !candidate.needs.empty(); ++other) {
      if (is_needed(candidates[other].row)) {
        std::ranges::transform(runs[other], std::back_inserter(needed), [](const PlannedRun& run) { return &run; });
      }
    }
    const std::size_t num_faults = faults.size();
    for (const auto& seed : seeds) {
      try {
        runs[c].push_back(planned(sweep, file, candidate, needed, seed, known, faults));
      } catch (const Error& error) {
        faults.emplace_back(error.what());
      }
      if (faults.size() > num_faults) {
        faulty_rows.insert(candidate.row);
        break;  // the other seeds would say the same
      }
    }
  }
  return runs;
}

/// Rows may hold one run a seed, or one of each part of a row of a table.
void check_rows(const Sweep& sweep, const std::map<std::string, std::string>& places,
                std::vector<std::string>& faults) {
  std::map<std::pair<std::string, std::int64_t>, std::multiset<const config::System*>> systems;
  for (const PlannedRun& run : sweep.runs) {
    systems[{run.row, run.config.run.seed}].insert(&config::system_of(run.config.model));
  }
  std::set<std::string> told;
  for (const auto& [row_and_seed, found] : systems) {
    const std::multiset<const config::System*>& of_row = found;
    const task::Tasks tasks(task::all().begin(), task::all().end());
    const std::vector<const config::System*> parts = config::parts_of_row(**of_row.begin(), tasks);
    const bool are_parts = std::ranges::all_of(of_row, [&](const config::System* system) {
      return of_row.count(system) == 1 && std::ranges::find(parts, system) != parts.end();
    });
    if (found.size() > 1 && !are_parts && told.insert(row_and_seed.first).second) {
      std::vector<std::string> may_share;
      std::ranges::transform(config::rows_of_parts(tasks), std::back_inserter(may_share), config::words_of);
      faults.push_back(fmt::format("{}: \"{}\" names {} different runs: only {} may share a row",
                                   places.at(row_and_seed.first), row_and_seed.first, found.size(),
                                   fmt::join(may_share, ", or ")));
    }
  }
}

void check_baseline(const Sweep& sweep, const Placed& baseline, std::vector<std::string>& faults) {
  std::vector<std::string> rows;
  for (const PlannedRun& run : sweep.runs) {
    if (rows.empty() || rows.back() != run.row) {
      rows.push_back(run.row);
    }
  }
  if (std::ranges::find(rows, baseline.text) == rows.end()) {
    faults.push_back(fmt::format("{}: the baseline \"{}\" is no row of this sweep; {}", baseline.where, baseline.text,
                                 did_you_mean(baseline.text, rows, fmt::format("rows are {}", fmt::join(rows, "; ")))));
  }
}

void throw_if_any(const fs::path& file, const std::vector<std::string>& faults) {
  if (faults.size() == 1) {
    fail_usage("{}", faults.front());
  }
  if (!faults.empty()) {
    throw Error(fmt::format("{}: {} faults, nothing was run", file.string(), faults.size()), ExitCode::usage, faults);
  }
}

std::string sweep_name(const fs::path& file) {
  std::string name = file.stem().string();
  const bool is_plain = name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") ==
                            std::string::npos &&
                        !name.starts_with('.') && !name.starts_with('-');
  if (!is_plain || name.empty()) {
    fail_usage("{}: a sweep's name is its file's, of letters, digits, '_', '-' and '.' only: rename the file",
               file.string());
  }
  return name;
}

}  // namespace

Sweep read_sweep(const fs::path& file, const std::vector<std::string>& assignments) {
  std::vector<std::string> faults;
  const SweepFile content = read_sweep_file(file, faults);
  Sweep sweep{.file = file,
              .name = sweep_name(file),
              .title = content.title,
              .folder = {},
              .base = {},
              .overrides = assignments,
              .axes = {},
              .axis_names = {},
              .baseline = {},
              .ranks = content.ranks,
              .data = content.data,
              .stop = content.stop,
              .runs = {}};
  sweep.title = content.title.empty() ? sweep.name : content.title;
  sweep.base = joined_path(file, content.base.text);
  sweep.axes = axis_keys(content);
  sweep.axis_names = axis_names(content);
  for (const AxisGroup& group : content.groups) {
    sweep.drawn += group.drawn;
  }
  for (const std::string& assignment : assignments) {
    try {
      config::check_assignment(assignment, {});
    } catch (const Error& error) {
      faults.emplace_back(error.what());
    }
  }
  if (!content.base.text.empty()) {
    try {
      static_cast<void>(config::read_run_config(sweep.base));
    } catch (const Error& error) {
      faults.push_back(fmt::format("{}: {}", content.base.where, error.what()));
    }
  }
  if (faults.empty()) {  // names of axes with faults of their own would only be noise
    check_meaning(content, assignments, faults);
  }
  if (std::string fault = fault_of_size(content); faults.empty() && !fault.empty()) {
    faults.push_back(std::move(fault));
  }
  throw_if_any(file, faults);

  const std::vector<Candidate> candidates = expand(content, faults);
  std::map<std::string, std::string> rows_by_id;
  std::map<std::string, std::string> places;
  std::vector<std::vector<PlannedRun>> runs = planned_runs(sweep, content, candidates, faults);
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const Candidate& candidate = candidates[c];
    places.emplace(candidate.row, candidate.where);
    for (PlannedRun& run : runs[c]) {
      const auto [other, is_new] = rows_by_id.emplace(run.id, candidate.row);
      if (!is_new) {
        faults.push_back(fmt::format("{}: \"{}\" and \"{}\" are the same run, {}: keep one{}", candidate.where,
                                     other->second, candidate.row, run.id,
                                     content.groups.empty() ? "" : ", by [[exclude]] or by hand"));
        break;
      }
      sweep.runs.push_back(std::move(run));
    }
  }
  if (candidates.empty() && faults.empty()) {
    faults.push_back(fmt::format("{}: every combination is excluded, nothing is left to run", file.string()));
  }
  if (faults.empty()) {
    check_rows(sweep, places, faults);
    if (content.baseline) {
      check_baseline(sweep, *content.baseline, faults);
      sweep.baseline = content.baseline->text;
    }
    check_race(sweep, content.stop_where, faults);
  }
  throw_if_any(file, faults);
  sweep.folder = sweep.runs.front().config.run.output;
  find_other_runs(sweep);
  return sweep;
}

}  // namespace xtasc::sweep
