#include "report/axes_sheet.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <utility>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "report/metric_columns.hpp"
#include "report/table_markdown.hpp"

namespace xtasc::report {

namespace {

/// A group and its labels.
struct LabelledRow {
  const SeedGroup* group;
  std::vector<std::string> labels;
};

std::vector<LabelledRow> labelled(std::span<const SeedGroup> groups, const std::vector<LabelColumn>& columns) {
  std::vector<LabelledRow> rows;
  for (const SeedGroup& group : groups) {
    rows.push_back({&group, {}});
    for (const LabelColumn& column : columns) {
      rows.back().labels.push_back(column.text(group));
    }
  }
  return rows;
}

std::optional<double> number_of(const std::string& text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

/// By labels: numbers by size and before words, words as they first come.
void sort_rows(std::vector<LabelledRow>& rows) {
  std::map<std::string, std::size_t> first_seen;
  for (const LabelledRow& row : rows) {
    for (const std::string& label : row.labels) {
      first_seen.emplace(label, first_seen.size());
    }
  }
  const auto place = [&first_seen](const std::string& label) {
    const std::optional<double> number = number_of(label);
    return std::tuple(number ? 0 : 1, number.value_or(0.0), number ? 0 : first_seen.at(label));
  };
  std::ranges::stable_sort(rows, [&place](const LabelledRow& a, const LabelledRow& b) {
    return std::ranges::lexicographical_compare(
        a.labels, b.labels, [&place](const std::string& x, const std::string& y) { return place(x) < place(y); });
  });
}

std::string caption_of(std::span<const SeedGroup> groups, const std::vector<LabelColumn>& labels, Protocol protocol,
                       Checkpoint checkpoint) {
  const bool has_spread = std::ranges::any_of(groups, [](const SeedGroup& group) { return group.seeds.size() > 1; });
  std::string text =
      fmt::format("{} {}", protocol_text(protocol, tasks_of(groups)), chosen_text(checkpoint, runs_of(groups)));
  if (has_spread) {
    text += " Mean +- sample standard deviation over seeds. ";
    text += kBestRule;
  }
  text += " " + sign_text(groups.front().delta_form);
  std::vector<const run::RunSummary*> of_rows;
  std::vector<std::string> names;
  for (const SeedGroup& group : groups) {
    of_rows.push_back(&group.first());
    names.push_back(labels.empty() ? group.first().config.model.system : labels.front().text(group));
  }
  const std::string baselines = baselines_text(of_rows, names);
  text += baselines.empty() ? "" : " " + baselines;
  const std::string& digest = groups.front().first().provenance.pack_digest;
  return text + (digest.empty() ? "" : fmt::format(" Pack {}.", digest.substr(0, 12)));
}

}  // namespace

std::set<std::string> keys_that_tell_apart(std::span<const SeedGroup> groups, const std::vector<LabelColumn>& labels) {
  // A key that says nothing to one of two nets stands in its config all the same: at its default it tells nothing
  // apart.
  struct Values {
    run::ConfigValues deciding, all;
    [[nodiscard]] const std::string& of(const std::string& key) const {
      const auto found = deciding.find(key);
      return found == deciding.end() ? all.at(key) : found->second;
    }
  };
  std::map<std::vector<std::string>, std::vector<Values>> by_labels;
  for (const LabelledRow& row : labelled(groups, labels)) {
    const run::RunSummary& run = row.group->first();
    by_labels[row.labels].push_back({group_identity(run), run::config_values(run.config)});
  }
  std::set<std::string> keys;
  for (const auto& [same_labels, alike] : by_labels) {
    for (const Values& one : alike) {
      for (const Values& other : alike) {
        for (const auto& [key, value] : other.deciding) {
          if (one.of(key) != value) {
            keys.insert(key);
          }
        }
      }
    }
  }
  const std::string digest(run::kWeightsDigestKey);
  if (keys.contains(digest)) {  // a file's name tells a reader more, where it tells all
    std::map<std::string, std::set<std::string>> digests_by_name;
    for (const SeedGroup& group : groups) {
      const config::ModelSection& model = group.first().config.model;
      digests_by_name[model.encoder_weights].insert(run::weights_of(model));
    }
    const bool names_tell_all =
        std::ranges::all_of(digests_by_name, [](const auto& entry) { return entry.second.size() == 1; });
    keys.insert("model.encoder_weights");
    if (names_tell_all) {
      keys.erase(digest);
    }
  }
  return keys;
}

LabelColumn axis_column(const std::string& full_key) {
  if (full_key == "model.system") {
    return {.key = full_key, .header = "Model", .text = [](const SeedGroup& group) { return group.model; }};
  }
  return {
      .key = full_key, .header = full_key.substr(full_key.find('.') + 1), .text = [full_key](const SeedGroup& group) {
        const std::string text = value_of(group, full_key);
        return text.empty() ? "-" : text;
      }};
}

std::vector<LabelColumn> model_columns() {
  return {{.key = "model", .header = "Model", .text = [](const SeedGroup& group) { return group.model; }},
          {.key = "encoder", .header = "Encoder", .text = [](const SeedGroup& group) { return group.encoder; }},
          {.key = "weighting", .header = "Weighting", .text = [](const SeedGroup& group) { return group.weighting; }}};
}

Cell metric_cell(const SeedGroup& group, const task::Metric& metric) {
  return moments_cell(moments_of(group, metric.key), metric.decimals, metric.factor);
}

/// What the row's Delta_m is against.
std::string_view baseline_label(const SeedGroup& group) {
  const std::vector<const config::System*> baseline =
      config::baseline_of(config::system_of(group.first().config.model), tasks_of(group));
  return baseline.empty() ? "row of single-task nets" : baseline.front()->label;
}

Cell delta_m_cell(const SeedGroup& group, Sheet& sheet) {
  if (!group.delta_m && !group.delta_m_of_means) {
    return {};
  }
  Cell cell = group.delta_m ? moments_cell(group.delta_m, 2) : number_cell(group.delta_m_of_means, 2);
  const auto num_seeds = static_cast<std::int64_t>(group.seeds.size());
  if (!group.delta_m) {
    cell.footnotes.push_back(sheet.add_footnote(
        fmt::format("Delta_m of the means: no seed of this row has a {} of its own seed", baseline_label(group))));
  } else if (group.delta_m->count < num_seeds) {
    cell.footnotes.push_back(
        sheet.add_footnote(fmt::format("Delta_m over {} of {} seeds: the others have no {} of their own",
                                       group.delta_m->count, num_seeds, baseline_label(group))));
  }
  return cell;
}

Sheet axes_sheet(std::span<const SeedGroup> groups, std::vector<LabelColumn> labels, Protocol protocol,
                 Checkpoint checkpoint, const std::vector<ExtraColumn>& extra) {
  check(!groups.empty(), "a table of no runs");
  for (const std::string& key : keys_that_tell_apart(groups, labels)) {
    labels.push_back(axis_column(key));
  }
  std::vector<LabelledRow> rows = labelled(groups, labels);
  sort_rows(rows);
  const run::Provenance& from = groups.front().first().provenance;
  Sheet sheet{.label = from.pack_dataset,
              .title = heading(from, protocol, checkpoint),
              .caption = caption_of(groups, labels, protocol, checkpoint),
              .columns = {},
              .rows = {},
              .footnotes = {}};
  for (const LabelColumn& label : labels) {
    sheet.columns.push_back({.key = label.key, .header = label.header, .is_text = true});
  }
  const std::vector<task::Metric> metrics = metrics_of(tasks_of(groups));
  sheet.columns.push_back({.key = "seeds", .header = "Seeds"});
  sheet.columns.push_back({.key = "params", .header = "#P (1e7)"});
  const std::size_t first_metric = sheet.columns.size();
  for (const task::Metric& metric : metrics) {
    sheet.columns.push_back({.key = std::string(metric.key), .header = header_of(metric, from), .has_deviation = true});
  }
  const DeltaForm& form = groups.front().delta_form;
  sheet.columns.push_back({.key = delta_m_key(form), .header = delta_m_header(form), .has_deviation = true});
  std::ranges::transform(extra, std::back_inserter(sheet.columns), &ExtraColumn::column);
  for (const LabelledRow& row : rows) {
    SheetRow line{.cells = {}, .runs = folders_of(*row.group)};
    std::ranges::transform(row.labels, std::back_inserter(line.cells), text_cell);
    for (const std::string& note : row.group->notes) {
      line.cells.front().footnotes.push_back(sheet.add_footnote(note));
    }
    const SeedGroup& group = *row.group;
    line.cells.push_back(number_cell(static_cast<double>(group.seeds.size()), 0));
    line.cells.push_back(parameters_cell(group.num_parameters));
    for (const task::Metric& metric : metrics) {
      line.cells.push_back(metric_cell(group, metric));
    }
    line.cells.push_back(delta_m_cell(group, sheet));
    for (const ExtraColumn& column : extra) {
      line.cells.push_back(column.cell(group, sheet));
    }
    sheet.rows.push_back(std::move(line));
  }
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    mark_best(sheet, first_metric + i, better(metrics[i]));
  }
  if (baselines_text(runs_of(groups)).empty()) {
    mark_best(sheet, first_metric + metrics.size(), better(form));
  }
  return sheet;
}

}  // namespace xtasc::report
