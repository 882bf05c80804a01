#include "sweep/halving/stop.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/nearest.hpp"
#include "task/task.hpp"

namespace xtasc::sweep {

namespace {

using Kind = TomlValue::Kind;

/// What rows may be ranked by: Delta_m, and the metrics that tables show.
std::vector<std::string> known_measures() {
  std::vector<std::string> known = {"delta_m"};
  for (const task::Task& task : task::all()) {
    for (const task::Metric& metric : task.metrics) {
      known.emplace_back(metric.key);
    }
  }
  return known;
}

/// Reads one key into `stop`. \returns what would be right; empty: it is
std::string read_key(const TomlValue& value, Stop& stop) {
  if (value.key == "after_epochs") {
    for (const TomlValue& epoch : value.list) {
      const std::int64_t before = stop.after_epochs.empty() ? 0 : stop.after_epochs.back();
      if (!epoch.is(Kind::integer) || epoch.integer <= before) {
        stop.after_epochs.clear();
        break;
      }
      stop.after_epochs.push_back(epoch.integer);
    }
    return stop.after_epochs.empty() ? "a rising list of integers >= 1, e.g. [20, 60]" : "";
  }
  if (value.key == "keep") {
    stop.keep = value.real;
    return value.is_number() && value.real > 0.0 && value.real < 1.0 ? "" : "a share > 0 and < 1, e.g. 0.5";
  }
  if (value.key == "by") {
    stop.by = value.text;
    const std::vector<std::string> known = known_measures();
    return std::ranges::find(known, stop.by) != known.end() ? "" : fmt::format("one of {}", fmt::join(known, ", "));
  }
  stop.protocol = value.text;
  return stop.protocol == "paper" || stop.protocol == "dataset" ? "" : "paper or dataset";
}

}  // namespace

std::optional<Stop> read_stop(const TomlValue& entry, SettingReader& reader) {
  static const std::vector<std::string> kKeys = {"after_epochs", "keep", "by", "protocol"};
  if (!entry.is(Kind::table)) {
    reader.fault(entry.where, "stop must be a section: [stop]");
    return std::nullopt;
  }
  Stop stop;
  bool is_good = true;
  for (const TomlValue& value : entry.table) {
    if (std::ranges::find(kKeys, value.key) == kKeys.end()) {
      reader.fault(value.key_where,
                   fmt::format("unknown key \"{}\" in [stop]; {}", value.key, did_you_mean(value.key, kKeys)));
      is_good = false;
    } else if (const std::string accepted = read_key(value, stop); !accepted.empty()) {
      reader.fault(value.where, fmt::format("stop.{} must be {}", value.key, accepted));
      is_good = false;
    }
  }
  if (entry.find("after_epochs") == nullptr) {
    reader.fault(entry.where, "[stop] lacks after_epochs: when rows are halted, e.g. after_epochs = [20, 60]");
    is_good = false;
  }
  return is_good ? std::optional(stop) : std::nullopt;
}

std::size_t num_kept(const Stop& stop, std::size_t num_rows) {
  constexpr double kRounding = 1e-9;  // 0.1 of 30 rows are three
  const double share = std::ceil(stop.keep * static_cast<double>(num_rows) - kRounding);
  return std::max<std::size_t>(1, static_cast<std::size_t>(share));
}

}  // namespace xtasc::sweep
