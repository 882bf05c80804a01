#include "sweep/halving/decision.hpp"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <iterator>
#include <system_error>

#include "core/error.hpp"
#include "core/json.hpp"
#include "io/atomic_file.hpp"
#include "sweep/halving/stop.hpp"
#include "task/task.hpp"

namespace fs = std::filesystem;

namespace xtasc::sweep {

namespace {

/// "1st", "12th".
std::string ordinal(std::size_t number) {
  const std::size_t last = number / 10 % 10 == 1 ? 0 : number % 10;
  return fmt::format("{}{}", number, last == 1 ? "st" : last == 2 ? "nd" : last == 3 ? "rd" : "th");
}

const task::Metric& metric_of(const std::string& key) {
  for (const task::Task& task : task::all()) {
    for (const task::Metric& metric : task.metrics) {
      if (metric.key == key) {
        return metric;
      }
    }
  }
  fail("there is no metric {}", key);
}

Decision read_decision(const fs::path& path) {
  try {
    using json_fields::field;
    using json_fields::get;
    const auto json = json_fields::parse(io::read_file(path));
    Decision decision{
        .after_epoch = get<std::int64_t>(json, "after_epoch"), .by = get<std::string>(json, "by"), .rows = {}};
    for (const auto& row : field(json, "rows")) {
      const bool has_value = !field(row, "value").is_null();
      decision.rows.push_back({.name = get<std::string>(row, "row"),
                               .runs = field(row, "runs").get<std::vector<std::string>>(),
                               .value = has_value ? std::optional(get<double>(row, "value")) : std::nullopt,
                               .is_kept = get<bool>(row, "is_kept")});
    }
    return decision;
  } catch (const std::exception& error) {
    fail("{} is damaged: {}", path.string(), error.what());
  }
}

}  // namespace

std::string Decision::text_of(const Row& row) const {
  const auto place = static_cast<std::size_t>(&row - rows.data()) + 1;
  std::string value = by == "delta_m" ? "no Delta_m" : fmt::format("no {}", metric_of(by).header);
  if (row.value && by == "delta_m") {
    value = fmt::format("Delta_m {:+.1f} %", *row.value);
  } else if (row.value) {
    const task::Metric& metric = metric_of(by);
    value = fmt::format("{} {:.{}f}{}", metric.header, metric.factor * *row.value, metric.decimals,
                        metric.unit == "%" ? " %" : "");
  }
  return fmt::format("after epoch {}: {}, {} of {}, {} kept", after_epoch, value, ordinal(place), rows.size(),
                     std::ranges::count_if(rows, &Row::is_kept));
}

void rank(Decision& decision, const Stop& stop) {
  const bool is_lower_better = stop.by != "delta_m" && !metric_of(stop.by).higher_is_better;
  std::ranges::stable_sort(decision.rows, [&](const Decision::Row& a, const Decision::Row& b) {
    if (!a.value || !b.value) {
      return a.value.has_value() && !b.value.has_value();
    }
    return is_lower_better ? *a.value < *b.value : *a.value > *b.value;
  });
  for (std::size_t i = 0; i < decision.rows.size(); ++i) {
    decision.rows[i].is_kept = i < num_kept(stop, decision.rows.size());
  }
}

std::vector<Decision> read_decisions(const SweepFolder& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder.rungs(), error)) {
    if (entry.path().filename().string().starts_with("epoch_")) {  // else one that is being written
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  std::vector<Decision> decisions;
  std::ranges::transform(files, std::back_inserter(decisions), read_decision);
  std::ranges::stable_sort(decisions, {}, &Decision::after_epoch);
  return decisions;
}

void write_decision(const SweepFolder& folder, const Decision& decision, const Stop& stop, std::int64_t number) {
  json_fields::Json rows = json_fields::Json::array();
  for (const Decision::Row& row : decision.rows) {
    rows.push_back({{"row", row.name},
                    {"runs", row.runs},
                    {"value", row.value ? json_fields::number(*row.value) : json_fields::Json()},
                    {"is_kept", row.is_kept}});
  }
  const json_fields::Json json = {{"after_epoch", decision.after_epoch},
                                  {"by", decision.by},
                                  {"protocol", stop.protocol},
                                  {"keep", stop.keep},
                                  {"rows", rows}};
  std::error_code error;
  fs::create_directories(folder.rungs(), error);
  check(!error, "cannot make the folder {}: {}", folder.rungs().string(), error.message());
  io::write_file_atomically(folder.rungs() / fmt::format("epoch_{}_{}.json", decision.after_epoch, number),
                            json.dump(1) + "\n");
}

}  // namespace xtasc::sweep
