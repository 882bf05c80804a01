#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "config/systems.hpp"
#include "page/json_parts.hpp"
#include "report/metric_columns.hpp"
#include "report/statistics.hpp"
#include "task/task.hpp"

namespace xtasc::page {

namespace {

using json_fields::Json;
using Values = std::map<std::string, double>;

/// So long are the curves of a page at most, unless the first, last and best epochs of all runs take more.
constexpr std::size_t kMostBytes = 1'400'000;

/// One small plot.
struct CurvePanel {
  std::string key;      ///< "paper/miou"
  std::string section;  ///< under which it stands
  std::string title;
  std::string better = {};    ///< "higher", "lower"; empty: neither
  std::string protocol = {};  ///< whose metric it is; empty: it is none
  double factor = 1.0;        ///< from metrics.jsonl to what is shown
};

/// All numbers of an epoch by the keys of panels, "train/seg" for the losses in training.
Values values_of(const run::EpochRecord& epoch) {
  Values all = {{"learning_rate", epoch.learning_rate}, {"images_per_second", epoch.images_per_second}};
  const auto add = [&all](std::string_view prefix, const Values& values) {
    for (const auto& [key, value] : values) {
      all[fmt::format("{}/{}", prefix, key)] = value;
    }
  };
  add("loss", epoch.val_loss);
  add("train", epoch.train_loss);
  add("paper", epoch.paper);
  add("dataset", epoch.dataset);
  add("weight", epoch.task_weight);
  add("consistency", epoch.consistency);
  for (const auto& [measure, by_pair] : epoch.gradients) {
    add(fmt::format("gradients/{}", measure), by_pair);
  }
  for (const auto& [group, values] : epoch.machine) {
    add(fmt::format("machine/{}", group), values);
  }
  return all;
}

/// "seg_to_depth" as "Seg to depth".
std::string spaced(std::string_view key) {
  std::string text(key);
  std::ranges::replace(text, '_', ' ');
  std::ranges::replace(text, '/', ' ');
  text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text;
}

/// Losses and metrics by task, then what else there is. \param keys  that any epoch has
std::vector<CurvePanel> panels_of(const Page& page, const std::set<std::string>& keys) {
  std::vector<CurvePanel> panels;
  std::set<std::string> left = keys;
  const auto add = [&](CurvePanel panel) {
    if (left.erase(panel.key) > 0) {
      panels.push_back(std::move(panel));
    }
  };
  const auto add_metric = [&](const std::string& name, const CurvePanel& like) {
    for (const char* protocol : {"paper", "dataset"}) {
      CurvePanel panel = like;
      panel.key = fmt::format("{}/{}", protocol, name);
      panel.protocol = protocol;
      add(std::move(panel));
    }
  };
  add({.key = "loss/total", .section = "Losses", .title = "Total loss", .better = "lower"});
  for (const task::Task& task : task::all()) {
    add({.key = fmt::format("loss/{}", task.key),
         .section = "Losses",
         .title = fmt::format("{} loss", report::title_of(task)),
         .better = "lower"});
    for (const task::Metric& metric : task.metrics) {
      add_metric(std::string(metric.key), {.key = {},
                                           .section = "Metrics",
                                           .title = report::header_of(metric, page.runs.front().provenance),
                                           .better = metric.higher_is_better ? "higher" : "lower",
                                           .factor = metric.factor});
    }
  }
  for (const task::Task& task : task::all()) {
    for (const std::string_view key : task.further) {
      add_metric(std::string(key), {.key = {}, .section = "Further metrics", .title = std::string(key)});
    }
  }
  for (const auto& [prefix, section, words] :
       {std::tuple("loss/", "Further losses", " loss"), std::tuple("weight/", "Weights of the tasks", ""),
        std::tuple("consistency/", "Consistency", ""), std::tuple("gradients/", "Gradients of the tasks", "")}) {
    for (const std::string& key : keys) {
      if (key.starts_with(prefix)) {
        add({.key = key, .section = section, .title = spaced(key.substr(std::string_view(prefix).size())) + words});
      }
    }
  }
  add({.key = "learning_rate", .section = "Course of the training", .title = "Learning rate"});
  add({.key = "images_per_second",
       .section = "Course of the training",
       .title = "Images a second",
       .better = "higher"});
  constexpr double kPercent = 100.0, kGiga = 1e-9, kMebi = 1.0 / (1 << 20);
  for (const auto& [name, title, better, factor] :
       {std::tuple("flops/of_peak", "Share of the peak, %", "higher", kPercent),
        std::tuple("flops/per_second", "GFLOP a second", "higher", kGiga),
        std::tuple("memory/host_bytes", "Peak memory of a rank, MiB", "lower", kMebi),
        std::tuple("memory/device_bytes", "Peak memory of a GPU, MiB", "lower", kMebi)}) {
    add({.key = fmt::format("machine/{}", name),
         .section = "Use of the machine",
         .title = title,
         .better = better,
         .factor = factor});
  }
  constexpr std::string_view kSeconds = "machine/seconds/";
  for (const std::string& key : keys) {
    if (key.starts_with(kSeconds)) {
      add({.key = key,
           .section = "Use of the machine",
           .title = fmt::format("{}, s", spaced(key.substr(kSeconds.size()))),
           .better = "lower"});
    }
  }
  return panels;
}

/// Digits that count: of a value, and of a deviation.
constexpr int kDigits = 7, kDeviationDigits = 3;

Json shown(double value, int digits) {
  return json_fields::number(std::strtod(fmt::format("{:.{}g}", value, digits).c_str(), nullptr));
}

/// What is drawn of one run, or of several that differ in their seed.
struct Curve {
  std::vector<std::int64_t> epochs;
  std::vector<std::map<std::string, report::Moments>> values;  ///< by epoch
  std::vector<std::int64_t> best;                              ///< of a run: its epoch of the lowest validation loss
};

Curve curve_of(const Page& page, const std::vector<std::size_t>& runs) {
  std::map<std::int64_t, std::map<std::string, std::vector<double>>> by_epoch;
  Curve curve;
  for (const std::size_t run : runs) {
    for (const run::EpochRecord& epoch : page.runs.at(run).epochs) {
      for (const auto& [key, value] : values_of(epoch)) {
        by_epoch[epoch.epoch][key].push_back(value);
      }
      if (epoch.is_best && runs.size() == 1) {
        curve.best = {epoch.epoch};
      }
    }
  }
  for (const auto& [epoch, values] : by_epoch) {
    curve.epochs.push_back(epoch);
    auto& of_epoch = curve.values.emplace_back();
    for (const auto& [key, of_runs] : values) {
      of_epoch[key] = report::moments(of_runs);
    }
  }
  return curve;
}

/// Every n-th epoch, the first, the last and the best one.
Curve thinned(const Curve& curve, std::int64_t every) {
  Curve kept{.epochs = {}, .values = {}, .best = curve.best};
  for (std::size_t i = 0; i < curve.epochs.size(); ++i) {
    const std::int64_t epoch = curve.epochs[i];
    if (i == 0 || i + 1 == curve.epochs.size() || epoch % every == 0 || std::ranges::count(curve.best, epoch) > 0) {
      kept.epochs.push_back(epoch);
      kept.values.push_back(curve.values[i]);
    }
  }
  return kept;
}

/// The values of one key, or their deviations, by epoch: null where there is none.
Json column_of(const Curve& curve, const std::string& key, double factor, bool is_deviation) {
  Json column = Json::array();
  for (const auto& values : curve.values) {
    const auto found = values.find(key);
    if (found == values.end()) {
      column.push_back(nullptr);
    } else if (is_deviation) {
      column.push_back(found->second.deviation ? shown(*found->second.deviation * factor, kDeviationDigits)
                                               : Json(nullptr));
    } else {
      column.push_back(shown(found->second.mean * factor, kDigits));
    }
  }
  return column;
}

Json curve_json(const Curve& curve, const std::vector<CurvePanel>& panels, bool is_mean) {
  Json y = Json::object(), train = Json::object(), deviation = Json::object();
  const auto has = [&curve](const std::string& key) {
    return std::ranges::any_of(curve.values, [&key](const auto& values) { return values.contains(key); });
  };
  for (const CurvePanel& panel : panels) {
    if (!has(panel.key)) {
      continue;
    }
    y[panel.key] = column_of(curve, panel.key, panel.factor, false);
    if (is_mean) {
      deviation[panel.key] = column_of(curve, panel.key, panel.factor, true);
    }
    if (const std::string in_training = "train" + panel.key.substr(std::min(panel.key.find('/'), panel.key.size()));
        panel.key.starts_with("loss/") && has(in_training)) {
      train[panel.key] = column_of(curve, in_training, 1.0, false);
    }
  }
  return {{"epochs", curve.epochs},
          {"best", curve.best},
          {"y", std::move(y)},
          {"train", std::move(train)},
          {"deviation", std::move(deviation)}};
}

}  // namespace

Json curves_json(const Page& page) {
  struct Line {
    const std::string* name;
    const char* mode;  // shown with a curve a run, with one a net, or with both
    std::size_t style;
    std::vector<std::size_t> runs;
    Curve curve;
  };
  std::vector<Line> lines;
  for (const PageGroup& group : page.groups) {
    const bool is_single = group.runs.size() == 1;
    for (const std::size_t run : group.runs) {
      lines.push_back(
          {&page.runs.at(run).name, is_single ? "both" : "each", group.style, {run}, curve_of(page, {run})});
    }
    if (!is_single) {
      lines.push_back({&group.name, "mean", group.style, group.runs, curve_of(page, group.runs)});
    }
  }
  std::set<std::string> keys;
  std::size_t longest = 1;
  for (const Line& line : lines) {
    longest = std::max(longest, line.curve.values.size());
    for (const auto& values : line.curve.values) {
      for (const auto& [key, value] : values) {
        keys.insert(key);
      }
    }
  }
  const std::vector<CurvePanel> panels = page.runs.empty() ? std::vector<CurvePanel>{} : panels_of(page, keys);
  Json panels_json = Json::array();
  for (const CurvePanel& panel : panels) {
    panels_json.push_back({{"key", panel.key},
                           {"section", panel.section},
                           {"title", panel.title},
                           {"better", panel.better},
                           {"protocol", panel.protocol}});
  }
  const auto curves_of_every = [&](std::size_t every) {
    Json curves = Json::array();
    for (const Line& line : lines) {
      Json curve = curve_json(thinned(line.curve, static_cast<std::int64_t>(every)), panels, line.runs.size() > 1);
      curve["name"] = *line.name;
      curve["mode"] = line.mode;
      curve["style"] = line.style;
      curve["runs"] = line.runs;
      curve["data"] = data_key(page.runs.at(line.runs.front()).provenance);
      curves.push_back(std::move(curve));
    }
    return curves;
  };
  std::size_t every = 1;
  Json curves = curves_of_every(every);
  while (curves.dump().size() > kMostBytes && every < longest) {
    every = std::max(every + 1, every * (curves.dump().size() / kMostBytes));
    curves = curves_of_every(every);
  }
  return {{"every", every}, {"panels", std::move(panels_json)}, {"curves", std::move(curves)}};
}

}  // namespace xtasc::page
