#include "sweep/expand.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "core/nearest.hpp"

namespace xtasc::sweep {

namespace {

/// Two texts of one value: 0.1 and 0.10, 1 and 1.0.
bool same_value(const std::string& a, const std::string& b) {
  const auto number = [](const std::string& text) -> std::optional<double> {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    return text.empty() || *end != '\0' ? std::nullopt : std::optional(value);
  };
  const auto x = number(a);
  return a == b || (x && x == number(b));
}

std::string key_of(const std::string& assignment) {
  return assignment.substr(0, assignment.find('='));
}

std::string last_part(const std::string& key) {
  return key.substr(key.rfind('.') + 1);
}

std::vector<const Axis*> all_axes(const SweepFile& file) {
  std::vector<const Axis*> axes;
  for (const AxisGroup& group : file.groups) {
    for (const Axis& axis : group.axes) {
      axes.push_back(&axis);
    }
  }
  return axes;
}

}  // namespace

std::vector<std::string> axis_keys(const SweepFile& file) {
  std::vector<std::string> keys;
  for (const Axis* axis : all_axes(file)) {
    keys.push_back(axis->key);
  }
  return keys;
}

std::map<std::string, std::string> axis_names(const SweepFile& file) {
  const std::vector<std::string> keys = axis_keys(file);
  std::map<std::string, std::string> names;
  for (const std::string& key : keys) {
    const auto given = file.axis_names.find(key);
    const auto namesakes =
        std::ranges::count_if(keys, [&](const auto& other) { return last_part(other) == last_part(key); });
    names[key] = given != file.axis_names.end() ? given->second : namesakes > 1 ? key : last_part(key);
  }
  return names;
}

namespace {

/// The row of a step through a group of axes: its name, or its values.
std::string step_label(const SweepFile& file, const AxisGroup& group, std::size_t step,
                       const std::map<std::string, std::string>& names) {
  if (!group.names.empty()) {
    return group.names[step];
  }
  std::vector<std::string> parts;
  for (const Axis& axis : group.axes) {
    const std::string& value = axis.values[step].value;
    std::string part = fmt::format("{} = {}", names.at(axis.key), value);
    if (const auto given = file.value_names.find(axis.key); given != file.value_names.end()) {
      for (const auto& [text, name] : given->second) {
        part = same_value(text, value) ? name : part;
      }
    }
    parts.push_back(std::move(part));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

bool is_excluded(const Exclude& exclude, const std::vector<Setting>& settings) {
  return std::ranges::all_of(exclude.keys, [&](const Axis& meant) {
    return std::ranges::any_of(settings, [&](const Setting& setting) {
      return setting.key == meant.key && std::ranges::any_of(meant.values, [&](const Setting& value) {
               return same_value(value.value, setting.value);
             });
    });
  });
}

}  // namespace

std::string fault_of_size(const SweepFile& file) {
  // A longer list nobody looks through, and `plan` would be silent for long: it takes about two milliseconds a run.
  constexpr double kMostRuns = 10000;
  std::vector<std::string> factors;
  double runs = static_cast<double>(std::max<std::size_t>(1, file.seeds.size()));
  for (const AxisGroup& group : file.groups) {
    factors.push_back(fmt::format("{}", group.size()));
    runs *= static_cast<double>(group.size());
  }
  if (file.groups.empty() || runs <= kMostRuns) {
    return {};
  }
  if (file.seeds.size() > 1) {
    factors.push_back(fmt::format("{} seeds", file.seeds.size()));
  }
  return fmt::format(
      "{}: the axes come to {:.0f} runs ({}), and {:.0f} are the most: take fewer values, or let [random] draw rows "
      "from them",
      file.groups.front().where, runs, fmt::join(factors, " x "), kMostRuns);
}

std::vector<Candidate> expand(const SweepFile& file, std::vector<std::string>& faults) {
  std::vector<Candidate> candidates;
  const auto names = axis_names(file);
  std::vector<bool> excludes_something(file.excludes.size(), false);
  std::vector<std::size_t> step(file.groups.size(), 0);
  bool is_at_end = file.groups.empty();
  while (!is_at_end) {
    Candidate candidate{.row = {},
                        .settings = {},
                        .needs = file.needs,
                        .where = file.groups.front().axes.front().values[step[0]].where};
    for (std::size_t g = 0; g < file.groups.size(); ++g) {
      candidate.row += (g == 0 ? "" : ", ") + step_label(file, file.groups[g], step[g], names);
      for (const Axis& axis : file.groups[g].axes) {
        candidate.settings.push_back(axis.values[step[g]]);
      }
    }
    bool is_wanted = true;
    for (std::size_t i = 0; i < file.excludes.size(); ++i) {
      if (is_excluded(file.excludes[i], candidate.settings)) {
        excludes_something[i] = true;
        is_wanted = false;
      }
    }
    if (is_wanted) {
      candidates.push_back(std::move(candidate));
    }
    std::size_t g = file.groups.size();
    while (g > 0 && ++step[g - 1] == file.groups[g - 1].size()) {
      step[--g] = 0;
    }
    is_at_end = g == 0;
  }
  for (std::size_t i = 0; i < file.excludes.size(); ++i) {
    if (!excludes_something[i]) {
      faults.push_back(fmt::format("{}: this [[exclude]] leaves nothing out", file.excludes[i].where));
    }
  }
  for (const Point& point : file.points) {
    candidates.push_back({.row = point.name, .settings = point.settings, .needs = point.needs, .where = point.where});
  }
  return candidates;
}

void check_meaning(const SweepFile& file, const std::vector<std::string>& assignments,
                   std::vector<std::string>& faults) {
  const auto fault = [&](const std::string& where, const std::string& what) {
    faults.push_back(fmt::format("{}: {}", where, what));
  };
  std::map<std::string, std::string> varied;  // key -> a place that sets it
  const auto vary = [&](const Setting& setting) {
    varied.emplace(setting.key, setting.where);
    if (setting.key == "run.output" || setting.key == "run.name") {
      fault(setting.where, fmt::format("{} may not differ between the runs of a sweep: it does not make another run, "
                                       "only another folder; set it in [set]",
                                       setting.key));
    }
    if (setting.key == "run.seed" && !file.seeds_where.empty()) {
      fault(setting.where, "run.seed stands here and in seeds: keep one");
    }
  };
  std::set<std::string> keys;
  for (const Axis* axis : all_axes(file)) {
    vary(axis->values.front());
    if (!keys.insert(axis->key).second) {
      fault(axis->values.front().where, fmt::format("{} is an axis already", axis->key));
    }
  }
  for (const Point& point : file.points) {
    for (const Setting& setting : point.settings) {
      vary(setting);
    }
  }
  for (const Setting& setting : file.set) {
    if (setting.key == "run.seed" && !file.seeds_where.empty()) {
      fault(setting.where, "run.seed stands here and in seeds: keep one");
    }
  }
  for (const std::string& assignment : assignments) {
    const std::string key = key_of(assignment);
    if (key == "run.seed" && !file.seeds_where.empty()) {
      fault(fmt::format("--set {}", assignment), fmt::format("{} names the seeds", file.seeds_where));
    } else if (const auto found = varied.find(key); found != varied.end()) {
      fault(fmt::format("--set {}", assignment), fmt::format("the sweep varies {}: {}", key, found->second));
    }
  }
  const std::vector<std::string> known = axis_keys(file);
  const auto need_axis = [&](const std::string& where, const std::string& key) {
    if (!keys.contains(key)) {
      const std::string hint = did_you_mean(key, known, "");
      fault(where, fmt::format("{} is no axis of this sweep{}{}", key, hint.empty() ? "" : "; ", hint));
    }
  };
  for (const Exclude& exclude : file.excludes) {
    for (const Axis& axis : exclude.keys) {
      need_axis(exclude.where, axis.key);
    }
  }
  for (const auto& [key, name] : file.axis_names) {
    need_axis("[axis_names]", key);
  }
  for (const auto& [key, names] : file.value_names) {
    need_axis("[value_names]", key);
    for (const Axis* axis : all_axes(file)) {
      for (const auto& [value, name] : names) {
        const bool is_there = std::ranges::any_of(
            axis->values, [&text = value](const Setting& setting) { return same_value(setting.value, text); });
        if (axis->key == key && !is_there) {
          fault("[value_names]", fmt::format("the axis {} has no value {}", key, value));
        }
      }
    }
  }
}

}  // namespace xtasc::sweep
