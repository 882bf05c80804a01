#include "report/table.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "config/methods.hpp"
#include "config/systems.hpp"
#include "core/error.hpp"
#include "report/delta_m.hpp"
#include "report/metric_columns.hpp"
#include "run/config_values.hpp"

namespace xtasc::report {

namespace {

using config::System;
using Runs = std::vector<const run::RunSummary*>;

const System& system_of(const run::RunSummary& run) {
  return config::system_of(run.config.model);
}

/// May the numbers of the two be set against each other? (The pack is the table's: the same for all.)
bool comparable(const run::RunSummary& a, const run::RunSummary& b) {
  return are_alike(a, b) && a.config.run.seed == b.config.run.seed;
}

/// Of several that could be meant, those that are most like `run`.
Runs nearest_of(Runs candidates, const run::RunSummary& run) {
  using Alike = std::function<bool(const run::RunSummary&)>;
  const std::vector<Alike> preferences = {
      [&run](const run::RunSummary& other) { return keep_the_same_labels(other, run); },
      [&run](const run::RunSummary& other) { return other.config.run.precision == run.config.run.precision; },
      [&run](const run::RunSummary& other) { return other.config.train.batch_size == run.config.train.batch_size; },
      [&run](const run::RunSummary& other) { return run::are_side_by_side(other, run); }};
  for (const Alike& alike : preferences) {
    Runs kept;
    std::ranges::copy_if(candidates, std::back_inserter(kept),
                         [&alike](const run::RunSummary* other) { return alike(*other); });
    if (!kept.empty()) {
      candidates = std::move(kept);
    }
  }
  return candidates;
}

Runs candidates_for(const run::RunSummary& run, const Runs& among, const System& system) {
  Runs candidates;
  std::ranges::copy_if(among, std::back_inserter(candidates), [&](const run::RunSummary* other) {
    return &system_of(*other) == &system && comparable(*other, run);
  });
  return nearest_of(std::move(candidates), run);
}

/// "resnet18, 10 epochs and seed 1": what a baseline has to share with the run.
std::string terms(const run::RunSummary& run) {
  const config::RunConfig& config = run.config;
  const std::string held_out = config.data.holdout == 0.0 ? "" : fmt::format("data.holdout {}, ", config.data.holdout);
  const std::string patience =
      config.train.patience == 0 ? "" : fmt::format("train.patience {}, ", config.train.patience);
  const std::int64_t epochs = config.train.patience == 0 ? run.last.epoch : config.train.epochs;
  const std::string encoder = config::encoder_of(run.config.model);
  const std::string_view pretrained = run.config.model.encoder_weights.empty() ? "" : " (pretrained)";
  return fmt::format("{}{}{}{} epochs and seed {}", encoder == "-" ? "" : fmt::format("{}{}, ", encoder, pretrained),
                     held_out, patience, epochs, run.config.run.seed);
}

std::string absent_text(const Runs& candidates, const run::RunSummary& run, const System& system) {
  const std::string word = config::words_of({&system});
  if (candidates.empty()) {
    return fmt::format("no finished {} run with {} on this pack", word, terms(run));
  }
  std::string folders;
  for (const run::RunSummary* other : candidates) {
    folders += (folders.empty() ? "" : ", ") + other->folder.string();
  }
  return fmt::format("{} {} runs with {} on this pack, one is needed: {}", candidates.size(), word, terms(run),
                     folders);
}

/// The runs that stand in one row, and why the row is incomplete (empty: it is not).
struct Group {
  Runs runs;
  std::string missing;
};

/// "Half of a Base ST-Net pair: ", before what is missing.
std::string lack_text(const System& part, const task::Tasks& tasks) {
  return config::parts_of_row(part, tasks).size() == 2 ? fmt::format("Half of a {} pair: ", part.label)
                                                       : fmt::format("Part of a row of {}: ", part.label);
}

/// The one run of `part` that the run means and that means it; null where there is none. Both must mean each other, or
/// one net would stand in two rows.
const run::RunSummary* partner_of(const run::RunSummary& run, const Runs& runs, const System& part) {
  const Runs others = candidates_for(run, runs, part);
  const bool is_mutual = others.size() == 1 && candidates_for(*others.front(), runs, system_of(run)) == Runs{&run};
  return is_mutual ? others.front() : nullptr;
}

/// Every run once: what stands together in a row of several parts, parts of such rows that are left over, and the
/// others one by one.
std::vector<Group> group_runs(const Runs& runs) {
  const task::Tasks tasks = tasks_of_rows(runs);
  std::vector<Group> groups;
  std::set<const run::RunSummary*> grouped;
  for (const run::RunSummary* run : runs) {
    const std::vector<const System*> parts = config::parts_of_row(system_of(*run), tasks);
    if (parts.size() == 1 || grouped.contains(run)) {
      continue;
    }
    Runs row;
    for (const System* part : parts) {
      const bool is_own = part == &system_of(*run);
      const run::RunSummary* partner = is_own ? run : partner_of(*run, runs, *part);
      if (partner != nullptr && !grouped.contains(partner)) {
        row.push_back(partner);
      }
    }
    if (row.size() > 1) {
      grouped.insert(row.begin(), row.end());
      groups.push_back({std::move(row), ""});
    }
  }
  for (const run::RunSummary* run : runs) {
    if (grouped.contains(run)) {
      continue;
    }
    Group group{{run}, ""};
    for (const System* part : config::parts_of_row(system_of(*run), tasks)) {
      if (part != &system_of(*run)) {
        group.missing += group.missing.empty() ? lack_text(*part, tasks) : "; ";
        group.missing += absent_text(candidates_for(*run, runs, *part), *run, *part);
      }
    }
    groups.push_back(std::move(group));
  }
  std::ranges::stable_sort(groups, {}, [](const Group& group) {
    const run::RunSummary& run = *group.runs.front();
    return std::tuple(system_of(run).place, config::encoder_place_of(run.config.model),
                      run::weights_of(run.config.model), config::place_of_method(run.config.weighting.method),
                      run.config.run.seed, run.folder);
  });
  return groups;
}

run::MetricValues values_of(const Runs& runs, Protocol protocol, Checkpoint checkpoint) {
  run::MetricValues all;
  for (const run::RunSummary* run : runs) {
    if (const run::EpochRecord* record = shown_of(*run, checkpoint)) {
      const run::MetricValues& values = protocol == Protocol::paper ? record->paper : record->dataset;
      all.insert(values.begin(), values.end());
    }
  }
  return all;
}

Row make_row(const Group& group, Protocol protocol, Checkpoint checkpoint) {
  const run::RunSummary& first = *group.runs.front();
  Row row;
  row.runs = group.runs;
  row.model = system_of(first).label;
  row.encoder = config::encoder_of(first.config.model);
  row.encoder += first.config.model.encoder_weights.empty() ? "" : ", pretrained";
  row.weighting = system_of(first).has_weights() ? first.config.weighting.method : "-";
  for (const run::RunSummary* run : group.runs) {
    row.num_parameters += run->provenance.num_parameters;
  }
  row.metrics = values_of(group.runs, protocol, checkpoint);
  return row;
}

std::size_t add_footnote(Table& table, const std::string& text) {
  const auto found = std::ranges::find(table.footnotes, text);
  const auto index = static_cast<std::size_t>(std::distance(table.footnotes.begin(), found));
  if (found == table.footnotes.end()) {
    table.footnotes.push_back(text);
  }
  return index;
}

/// "four".
std::string number_word(std::size_t number) {
  constexpr std::array<std::string_view, 13> kWords = {"no",    "one",   "two",  "three", "four",   "five",  "six",
                                                       "seven", "eight", "nine", "ten",   "eleven", "twelve"};
  return number < kWords.size() ? std::string(kWords[number]) : fmt::format("{}", number);
}

/// Sets the row's Delta_m; returns why it is absent, or an empty text. \param baselines  the rows of several parts
std::string set_delta_m(Row& row, const std::vector<Row>& baselines, const DeltaForm& form) {
  const run::RunSummary& run = *row.runs.front();
  const task::Tasks tasks = tasks_of(row.runs);
  Runs candidates;
  std::size_t fewest = task::all().size();  // one that has more tasks is further off
  for (const Row& baseline : baselines) {
    const task::Tasks of_baseline = tasks_of(baseline.runs);
    const System& single = system_of(*baseline.runs.front());
    if (!system_of(run).is_set_against(single) || !comparable(*baseline.runs.front(), run) ||
        !covers(of_baseline, tasks) || of_baseline.size() > fewest) {
      continue;
    }
    if (of_baseline.size() < fewest) {
      candidates.clear();
      fewest = of_baseline.size();
    }
    candidates.push_back(baseline.runs.front());
  }
  candidates = nearest_of(std::move(candidates), run);
  if (candidates.size() != 1) {
    const std::vector<const System*> baseline = config::baseline_of(system_of(run), tasks);
    return baseline.empty() ? "No Delta_m: there are no single-task nets for these tasks"
           : candidates.empty()
               ? fmt::format("No Delta_m: no finished {}{} ({}) with {} on this pack", baseline.front()->label,
                             baseline.size() == 2 ? " pair" : "", config::words_of(baseline), terms(run))
               : "No Delta_m: " + absent_text(candidates, run, system_of(*candidates.front()));
  }
  const auto baseline =
      std::ranges::find_if(baselines, [&candidates](const Row& one) { return one.runs.front() == candidates.front(); });
  row.delta_m = delta_m(row.metrics, baseline->metrics, tasks, form);
  return row.delta_m ? ""
                     : fmt::format("No Delta_m: one of the {} metrics could not be measured here or for {}",
                                   number_word(num_in_delta_m(tasks)), baseline->model);
}

/// Says behind the names of networks that stand there with different tasks which these are.
void tell_tasks_apart(std::vector<Row>& rows) {
  std::map<std::string, std::set<std::vector<std::string_view>>> tasks_by_model;
  const auto tasks_of_row = [](const Row& row) { return system_of(*row.runs.front()).tasks; };
  for (const Row& row : rows) {
    if (system_of(*row.runs.front()).has_weights()) {
      tasks_by_model[row.model].insert(tasks_of_row(row));
    }
  }
  for (Row& row : rows) {
    const auto found = tasks_by_model.find(row.model);
    if (found != tasks_by_model.end() && found->second.size() > 1) {
      std::vector<std::string_view> names;
      std::ranges::transform(tasks_of_row(row), std::back_inserter(names),
                             [](std::string_view key) { return task::of_key(key).name; });
      row.model += fmt::format(" ({})", fmt::join(names, ", "));
    }
  }
}

Table make_table(const Runs& runs, Protocol protocol, Checkpoint checkpoint, const DeltaForm& delta_form) {
  Table table{.protocol = protocol, .checkpoint = checkpoint, .delta_form = delta_form, .rows = {}, .footnotes = {}};
  std::vector<std::string> missing;
  std::vector<Row> baselines;
  for (const Group& group : group_runs(runs)) {
    table.rows.push_back(make_row(group, protocol, checkpoint));
    missing.push_back(group.missing);
    if (group.runs.size() > 1) {
      baselines.push_back(table.rows.back());
    }
  }
  tell_tasks_apart(table.rows);
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const std::string reason = missing[i].empty() ? set_delta_m(table.rows[i], baselines, delta_form) : missing[i];
    if (!reason.empty()) {
      table.rows[i].footnote = add_footnote(table, reason);
    }
  }
  return table;
}

/// The name first, for the order; the digest tells packs of one name apart.
using PackKey = std::tuple<std::string, std::int64_t, std::int64_t, std::string, std::string>;

PackKey key_of(const run::RunSummary& run, const std::string& label_set) {
  const run::Provenance& from = run.provenance;
  return {from.pack_dataset, from.pack_height, from.pack_width, label_set, from.pack_digest};
}

/// Whether the run's net predicts classes, and so depends on the label set.
bool reads_labels(const run::RunSummary& run) {
  return std::ranges::count(config::tasks_of(system_of(run)), task::Kind::classes, &task::Task::kind) > 0;
}

/// A net that predicts no classes is the same run whatever label set its config names: where a table has none of its
/// own, it shows that of another label set.
void share_unlabelled_nets(std::map<PackKey, Runs>& by_pack, const Runs& unlabelled) {
  std::map<PackKey, Runs> shared;
  for (const auto& [key, of_pack] : by_pack) {
    const std::string& label_set = std::get<3>(key);
    const auto lies_here = [&, &key = key](const run::RunSummary* run) { return key_of(*run, label_set) == key; };
    if (std::ranges::none_of(unlabelled, [&](const run::RunSummary* run) {
          return lies_here(run) && run->config.data.label_set == label_set;
        })) {
      std::ranges::copy_if(unlabelled, std::back_inserter(shared[key]), lies_here);
    }
  }
  for (const auto& [key, runs] : shared) {
    std::ranges::copy(runs, std::back_inserter(by_pack[key]));
  }
  std::erase_if(by_pack, [&](const auto& entry) {
    return std::ranges::none_of(entry.second, [](const run::RunSummary* run) { return reads_labels(*run); }) &&
           std::ranges::all_of(entry.second, [&](const run::RunSummary* run) {
             return std::ranges::any_of(shared,
                                        [&](const auto& other) { return std::ranges::count(other.second, run) > 0; });
           });
  });
}

}  // namespace

bool are_alike(const run::RunSummary& a, const run::RunSummary& b) {
  const config::ModelSection& first = a.config.model;
  const config::ModelSection& second = b.config.model;
  const bool have_encoders = config::encoder_of(first) != "-" && config::encoder_of(second) != "-";
  const bool have_widths = config::decoder_width_of(first) > 0 && config::decoder_width_of(second) > 0;
  const config::TrainSection& train = a.config.train;
  const bool equally_long = train.patience == 0 ? a.last.epoch == b.last.epoch : train.epochs == b.config.train.epochs;
  return train.patience == b.config.train.patience && a.config.data.holdout == b.config.data.holdout && equally_long &&
         (!have_encoders || (first.encoder == second.encoder && run::weights_of(first) == run::weights_of(second))) &&
         (!have_widths || first.decoder_width == second.decoder_width);
}

bool keep_the_same_labels(const run::RunSummary& a, const run::RunSummary& b) {
  const config::DataSection& first = a.config.data;
  const config::DataSection& second = b.config.data;
  return first.label_share == second.label_share && first.one_label == second.one_label;
}

std::string_view name(Protocol protocol) {
  return protocol == Protocol::paper ? "paper" : "dataset";
}

std::string joined(const Row& row, const std::function<std::string(const run::RunSummary&)>& text) {
  std::string result = text(*row.runs.front());
  for (std::size_t i = 1; i < row.runs.size(); ++i) {
    const std::string other = text(*row.runs[i]);
    result += other == result ? "" : " + " + other;
  }
  return result;
}

std::vector<Table> make_tables(std::span<const run::RunSummary> runs, std::span<const Protocol> protocols,
                               Checkpoint checkpoint, const DeltaForm& delta_form) {
  std::map<PackKey, Runs> by_pack;
  Runs unlabelled;
  for (const run::RunSummary& run : runs) {
    by_pack[key_of(run, run.config.data.label_set)].push_back(&run);
    if (!reads_labels(run)) {
      unlabelled.push_back(&run);
    }
  }
  share_unlabelled_nets(by_pack, unlabelled);
  std::vector<Table> tables;
  for (const auto& [key, of_pack] : by_pack) {
    for (const Protocol protocol : protocols) {
      tables.push_back(make_table(of_pack, protocol, checkpoint, delta_form));
    }
  }
  return tables;
}

}  // namespace xtasc::report
