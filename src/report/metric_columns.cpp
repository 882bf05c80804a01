#include "report/metric_columns.hpp"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "config/systems.hpp"
#include "core/error.hpp"

namespace xtasc::report {

namespace {

/// Headers of the metrics of classes, which the paper protocol takes by image.
std::vector<std::string_view> class_headers(const task::Tasks& tasks) {
  std::vector<std::string_view> headers;
  for (const task::Task& task : tasks) {
    if (task.kind == task::Kind::classes) {
      std::ranges::transform(task.metrics, std::back_inserter(headers), &task::Metric::header);
    }
  }
  return headers;
}

}  // namespace

task::Tasks tasks_of_rows(std::span<const run::RunSummary* const> runs) {
  std::vector<const config::System*> systems;
  std::ranges::transform(runs, std::back_inserter(systems),
                         [](const run::RunSummary* run) { return &config::system_of(run->config.model); });
  return config::tasks_of_rows(systems);
}

task::Tasks tasks_of(std::span<const run::RunSummary* const> runs) {
  const task::Tasks of_rows = tasks_of_rows(runs);
  std::vector<const config::System*> systems;
  for (const run::RunSummary* run : runs) {
    const config::System& system = config::system_of(run->config.model);
    const std::vector<const config::System*> parts = config::parts_of_row(system, of_rows);
    const auto is_here = [&](const run::RunSummary* other) {
      const config::System& of_other = config::system_of(other->config.model);
      return &of_other != &system && std::ranges::find(parts, &of_other) != parts.end();
    };
    if (std::ranges::any_of(runs, is_here)) {
      systems.push_back(&system);
    } else {
      std::ranges::copy(parts, std::back_inserter(systems));
    }
  }
  task::Tasks tasks;
  std::ranges::copy_if(task::all(), std::back_inserter(tasks), [&systems](const task::Task& task) {
    return std::ranges::any_of(systems, [&task](const config::System* system) { return system->has(task.key); });
  });
  return tasks;
}

task::Tasks tasks_of(const Table& table) {
  return tasks_of(runs_of(table));
}

std::vector<const run::RunSummary*> runs_of(const Table& table) {
  std::vector<const run::RunSummary*> runs;
  for (const Row& row : table.rows) {
    runs.insert(runs.end(), row.runs.begin(), row.runs.end());
  }
  return runs;
}

std::string sign_text(const DeltaForm& form) {
  return fmt::format("Delta_m is eq. 17's{}{}: {} is better.",
                     form.lower_is_better() ? " with the other sign, the field's" : "",
                     form.mean_over == DeltaMean::tasks ? ", the mean over each task's metrics first" : "",
                     form.lower_is_better() ? "lower" : "higher");
}

std::string delta_m_key(const DeltaForm& form) {
  return form.lower_is_better() ? "delta_m_lower_is_better" : "delta_m";
}

std::string delta_m_header(const DeltaForm& form) {
  return form.lower_is_better() ? "Delta_m (%), lower is better" : "Delta_m (%)";
}

std::string delta_m_axis(const DeltaForm& form) {
  return fmt::format("\u0394m (%), {} is better", form.lower_is_better() ? "lower" : "higher");
}

std::string baselines_text(std::span<const run::RunSummary* const> runs, const std::vector<std::string>& names) {
  std::map<std::string_view, std::vector<std::string>> labels;  // of the rows, by what they are set against
  std::map<std::string_view, std::string_view> label_of_baseline;
  std::map<std::string, std::string_view> set_against_of;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const config::System& system = config::system_of(runs[i]->config.model);
    const std::string name = names.empty() ? std::string(system.label) : names[i];
    if (set_against_of.emplace(name, system.set_against).first->second != system.set_against) {
      return baselines_text(runs);
    }
    auto& of_baseline = labels[system.set_against];
    if (std::ranges::find(of_baseline, name) == of_baseline.end()) {
      of_baseline.push_back(name);
    }
    const auto baseline = config::baseline_of(system, config::tasks_of(system));
    label_of_baseline[system.set_against] = baseline.empty() ? "single-task nets" : baseline.front()->label;
  }
  if (labels.size() < 2) {
    return {};
  }
  std::string text;
  for (const auto& [set_against, of_baseline] : labels) {
    if (!set_against.empty()) {
      text += fmt::format("{}of {} is over {}", text.empty() ? "Delta_m " : ", ", fmt::join(of_baseline, ", "),
                          label_of_baseline[set_against]);
    }
  }
  const auto others = label_of_baseline.find("");
  return text + (others == label_of_baseline.end() ? "." : fmt::format(", of the others over {}.", others->second));
}

bool covers(const task::Tasks& tasks, const task::Tasks& wanted) {
  return std::ranges::all_of(
      wanted, [&tasks](const task::Task& task) { return std::ranges::count(tasks, task.key, &task::Task::key) > 0; });
}

std::vector<task::Metric> metrics_of(const task::Tasks& tasks) {
  std::vector<task::Metric> metrics;
  for (const task::Task& task : tasks) {
    metrics.insert(metrics.end(), task.metrics.begin(), task.metrics.end());
  }
  return metrics;
}

std::size_t num_in_delta_m(const task::Tasks& tasks) {
  return static_cast<std::size_t>(std::ranges::count(metrics_of(tasks), true, &task::Metric::in_delta_m));
}

std::optional<double> value_of(const run::MetricValues& values, std::string_view key) {
  const auto found = values.find(std::string(key));
  return found == values.end() ? std::nullopt : std::optional(found->second);
}

std::string header_of(const task::Metric& metric, const run::Provenance& from) {
  std::string unit(metric.unit);
  if (metric.unit == task::kDepthUnit) {
    const std::string& kind = from.pack_depth_kind;
    unit = kind == "metres" ? "m" : kind == "inverse_depth" ? "inverse depth" : "";
  }
  return unit.empty() ? std::string(metric.header) : fmt::format("{} ({})", metric.header, unit);
}

std::string axis_label(const task::Metric& metric, const run::Provenance& from) {
  return fmt::format("{}, {} is better", header_of(metric, from), metric.higher_is_better ? "higher" : "lower");
}

Cell value_cell(const task::Metric& metric, const std::optional<double>& value) {
  Cell cell = number_cell(value, metric.decimals, metric.factor);
  cell.text = value && metric.digits > 0 ? fmt::format("{:#.{}g}", *cell.value, metric.digits) : cell.text;
  return cell;
}

Better better(const task::Metric& metric) {
  return metric.higher_is_better ? Better::higher : Better::lower;
}

Better better(const DeltaForm& form) {
  return form.lower_is_better() ? Better::lower : Better::higher;
}

std::string title_of(const task::Task& task) {
  std::string title(task.name);
  title.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(title.front())));
  return title;
}

std::string chosen_text(Checkpoint checkpoint, std::span<const run::RunSummary* const> runs) {
  if (checkpoint == Checkpoint::last) {
    return "Weights of the last epoch.";
  }
  if (checkpoint == Checkpoint::mean10) {
    return fmt::format("Each metric's mean over the last {} epochs.", run::kNumMeanEpochs);
  }
  std::set<double> shares;
  for (const run::RunSummary* run : runs) {
    shares.insert(run->config.data.holdout);
  }
  const bool has_paper = shares.erase(0.0) > 0;
  const std::string by_validation = has_paper ? "the validation split, as in the paper" : "";
  const std::string by_holdout =
      shares.empty() ? "" : fmt::format("a held-out share of {} of the training images", fmt::join(shares, " or "));
  return fmt::format("Weights of the best epoch by {}{}{}.", by_validation,
                     has_paper && !shares.empty() ? ", or by " : "", by_holdout);
}

std::string protocol_text(Protocol protocol, const task::Tasks& tasks) {
  const std::vector<std::string_view> by_image = class_headers(tasks);
  const auto has = [&tasks](task::Kind kind) { return std::ranges::count(tasks, kind, &task::Task::kind) > 0; };
  const bool has_angles = has(task::Kind::unit_vector);
  if (protocol == Protocol::paper) {
    const std::string text = by_image.empty()
                                 ? "Errors by batch, then averaged over images."
                                 : fmt::format("{} by image, then averaged over images.", fmt::join(by_image, " and "));
    return text + (has_angles ? " Angles by batch: their median is a mean of the batches' medians." : "");
  }
  std::vector<std::string> measured(by_image.begin(), by_image.end());
  for (const auto& [is_there, word] : {std::pair(has(task::Kind::depth), "errors"), std::pair(has_angles, "angles")}) {
    if (is_there) {
      measured.emplace_back(word);
    }
  }
  const std::string last = measured.back();
  measured.pop_back();
  std::string text = measured.empty() ? last : fmt::format("{} and {}", fmt::join(measured, ", "), last);
  text.front() =
      by_image.empty() ? static_cast<char>(std::toupper(static_cast<unsigned char>(text.front()))) : text.front();
  return text + " over all pixels of the validation set.";
}

}  // namespace xtasc::report
