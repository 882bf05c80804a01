#include "sweep/halving/race.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <set>
#include <system_error>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "io/atomic_file.hpp"
#include "report/metric_columns.hpp"
#include "run/config_values.hpp"
#include "sweep/inputs.hpp"
#include "sweep/select.hpp"

namespace xtasc::sweep {

namespace {

using config::System;
using Runs = std::vector<const PlannedRun*>;

const System& system_of(const PlannedRun& run) {
  return config::system_of(run.config.model);
}

bool is_single_task(const PlannedRun& run) {
  return system_of(run).tasks.size() == 1;
}

/// Whether the numbers of the two may be set against each other, as report::are_alike has it of finished runs.
bool are_comparable(const PlannedRun& a, const PlannedRun& b) {
  const config::ModelSection& first = a.config.model;
  const config::ModelSection& second = b.config.model;
  const config::DataSection& data = a.config.data;
  const config::DataSection& other_data = b.config.data;
  const bool have_encoders = config::encoder_of(first) != "-" && config::encoder_of(second) != "-";
  const bool have_widths = config::decoder_width_of(first) > 0 && config::decoder_width_of(second) > 0;
  return a.config.run.seed == b.config.run.seed && data.pack == other_data.pack &&
         data.pack_digest == other_data.pack_digest && data.label_set == other_data.label_set &&
         data.holdout == other_data.holdout && a.config.train.patience == b.config.train.patience &&
         (!have_encoders || (first.encoder == second.encoder && run::weights_of(first) == run::weights_of(second))) &&
         (!have_widths || first.decoder_width == second.decoder_width);
}

/// Of several nets that a run could be set against, those that were trained most like it.
Runs nearest_of(Runs candidates, const PlannedRun& run) {
  const config::RunConfig& own = run.config;
  const std::vector<std::function<bool(const config::RunConfig&)>> preferences = {
      [&own](const auto& other) {
        return other.data.label_share == own.data.label_share && other.data.one_label == own.data.one_label;
      },
      [&own](const auto& other) { return other.train.epochs == own.train.epochs; },
      [&own](const auto& other) { return other.run.precision == own.run.precision; },
      [&own](const auto& other) { return other.train.batch_size == own.train.batch_size; }};
  for (const auto& is_like : preferences) {
    Runs like;
    std::ranges::copy_if(candidates, std::back_inserter(like),
                         [&is_like](const PlannedRun* other) { return is_like(other->config); });
    if (!like.empty()) {
      candidates = std::move(like);
    }
  }
  return candidates;
}

/// What Delta_m of a run is over. \param fault  why there is no such thing
Runs against_of(const Sweep& sweep, const PlannedRun& run, std::string& fault) {
  Runs against;
  if (!std::ranges::any_of(sweep.runs, is_single_task)) {
    for (const PlannedRun& other : sweep.runs) {
      if (other.row == sweep.baseline && are_comparable(other, run)) {
        against.push_back(&other);
      }
    }
    if (against.size() != 1) {
      fault = sweep.baseline.empty()
                  ? "the sweep has no single-task rows and no baseline that its Delta_m could be over"
                  : fmt::format("the baseline \"{}\" has {} runs with seed {} on its data and encoder, one is needed",
                                sweep.baseline, against.size(), run.config.run.seed);
    }
    return against;
  }
  const std::vector<const System*> parts = config::baseline_of(system_of(run), config::tasks_of(system_of(run)));
  for (const System* part : parts) {
    Runs found;
    for (const PlannedRun& other : sweep.runs) {
      if (&system_of(other) == part && are_comparable(other, run)) {
        found.push_back(&other);
      }
    }
    found = nearest_of(std::move(found), run);
    if (found.size() != 1) {
      fault = fmt::format(
          "its Delta_m is over {}, of which the sweep has {} runs with seed {} on its data and encoder, "
          "one is needed",
          config::words_of({part}), found.size(), run.config.run.seed);
      return {};
    }
    against.push_back(found.front());
  }
  if (parts.empty()) {
    fault = fmt::format("there are no single-task nets that {} is set against", config::words_of({&system_of(run)}));
  }
  return against;
}

/// Why the rungs do not suit a run; empty: they do.
std::string fault_of_rungs(const Stop& stop, const Runner& runner) {
  const std::int64_t last = stop.after_epochs.back();
  if (runner.run->config.train.epochs <= last) {
    return fmt::format("trains {} epochs, so nothing can be halted after epoch {}", runner.run->config.train.epochs,
                       last);
  }
  for (const PlannedRun* other : runner.against) {
    if (other->config.train.epochs < last) {
      return fmt::format("is set against \"{}\", which trains {} epochs and never reaches epoch {}", other->row,
                         other->config.train.epochs, last);
    }
  }
  return {};
}

}  // namespace

std::vector<RacingRow> race_of(const Sweep& sweep, std::vector<std::string>* faults) {
  std::vector<RacingRow> rows;
  if (!sweep.stop) {
    return rows;
  }
  std::set<std::string> needed;
  for (const PlannedRun& run : sweep.runs) {
    needed.insert(run.needs.begin(), run.needs.end());
  }
  for (const PlannedRun& run : sweep.runs) {
    if (run.row == sweep.baseline || is_single_task(run) || needed.contains(run.id)) {
      continue;
    }
    Runner runner{.run = &run};
    std::string fault;
    if (sweep.stop->by == "delta_m") {
      runner.against = against_of(sweep, run, fault);
    } else {
      const auto metrics = report::metrics_of(config::tasks_of(system_of(run)));
      fault = std::ranges::find(metrics, sweep.stop->by, &task::Metric::key) != metrics.end()
                  ? ""
                  : fmt::format("{} is not measured of {}", sweep.stop->by, config::words_of({&system_of(run)}));
    }
    const PlannedRun& first = rows.empty() ? run : *rows.front().runs.front().run;
    if (fault.empty() && run.config.data.holdout != first.config.data.holdout) {
      fault = fmt::format("is measured on other images (data.holdout = {}) than \"{}\" (data.holdout = {})",
                          run.config.data.holdout, first.row, first.config.data.holdout);
    }
    fault = fault.empty() ? fault_of_rungs(*sweep.stop, runner) : fault;
    const auto row = std::ranges::find(rows, run.row, &RacingRow::name);
    if (faults != nullptr && !fault.empty() && row == rows.end()) {
      faults->push_back(fmt::format("\"{}\": {}", run.row, fault));
    }
    if (row == rows.end()) {
      rows.push_back({.name = run.row, .runs = {std::move(runner)}});
    } else {
      row->runs.push_back(std::move(runner));
    }
  }
  return rows;
}

void check_race(const Sweep& sweep, const std::string& where, std::vector<std::string>& faults) {
  std::vector<std::string> found;
  if (sweep.stop && race_of(sweep, &found).empty()) {
    found.emplace_back(
        "no row may be halted: the baseline, single-task nets and what other rows need train to their end");
  }
  for (const std::string& fault : found) {
    faults.push_back(fmt::format("{}: [stop]: {}", where, fault));
  }
}

void freeze_race(const Sweep& sweep) {
  const SweepFolder folder{sweep.folder};
  if (!sweep.stop) {
    return;
  }
  require_ids(sweep, select(sweep, {}), "nothing was submitted");
  json_fields::Json runs = json_fields::Json::array();
  for (const PlannedRun& run : sweep.runs) {
    freeze_config(folder, run);
    runs.push_back({{"id", run.id}, {"row", run.row}, {"needs", run.needs}});
  }
  const json_fields::Json json = {{"name", sweep.name},
                                  {"baseline", sweep.baseline},
                                  {"after_epochs", sweep.stop->after_epochs},
                                  {"keep", sweep.stop->keep},
                                  {"by", sweep.stop->by},
                                  {"protocol", sweep.stop->protocol},
                                  {"runs", runs}};
  io::write_file_atomically(folder.race(), json.dump(1) + "\n");
}

std::optional<Sweep> read_frozen_race(const SweepFolder& folder) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(folder.race(), ignored)) {
    return std::nullopt;
  }
  try {
    using json_fields::get;
    const auto json = json_fields::parse(io::read_file(folder.race()));
    Sweep sweep{.file = folder.race(),
                .name = get<std::string>(json, "name"),
                .title = {},
                .folder = folder.root,
                .base = {},
                .overrides = {},
                .axes = {},
                .axis_names = {},
                .baseline = get<std::string>(json, "baseline"),
                .ranks = {},
                .data = {},
                .stop = Stop{.after_epochs = json_fields::field(json, "after_epochs").get<std::vector<std::int64_t>>(),
                             .keep = get<double>(json, "keep"),
                             .by = get<std::string>(json, "by"),
                             .protocol = get<std::string>(json, "protocol")},
                .runs = {}};
    for (const auto& entry : json_fields::field(json, "runs")) {
      const auto id = get<std::string>(entry, "id");
      sweep.runs.push_back({.config = config::read_written_config(folder.config(id)),
                            .id = id,
                            .row = get<std::string>(entry, "row"),
                            .axes = {},
                            .assignments = {},
                            .needs = json_fields::field(entry, "needs").get<std::vector<std::string>>()});
    }
    return sweep;
  } catch (const std::exception& error) {
    fail("{} is damaged: {}", folder.race().string(), error.what());
  }
}

}  // namespace xtasc::sweep
