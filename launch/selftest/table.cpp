#include "launch/selftest/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.hpp"

namespace xtasc::launch {

namespace {

using nlohmann::json;

constexpr std::array<const char*, 3> kWords = {"PASS", "SKIP", "FAIL"};
static_assert(kWords.size() == static_cast<std::size_t>(Outcome::fail) + 1);

std::int64_t count_of(const std::vector<Row>& rows, Outcome outcome) {
  return std::count_if(rows.begin(), rows.end(), [&](const Row& row) { return row.finding.outcome == outcome; });
}

/// "rank 3", "ranks 1, 3", "ranks 0, 1, 2, ... (64 in all)".
std::string ranks_text(const std::vector<int>& ranks) {
  constexpr std::size_t kShown = 4;
  const std::vector<int> shown(ranks.begin(),
                               ranks.begin() + static_cast<std::ptrdiff_t>(std::min(kShown, ranks.size())));
  return fmt::format("rank{} {}{}", ranks.size() == 1 ? "" : "s", fmt::join(shown, ", "),
                     ranks.size() > kShown ? fmt::format(", ... ({} in all)", ranks.size()) : "");
}

std::string figure_and_bound(const Finding& finding) {
  return finding.bound.empty() ? finding.figure : fmt::format("{} ({})", finding.figure, finding.bound);
}

}  // namespace

std::string_view outcome_word(Outcome outcome) {
  return kWords[static_cast<std::size_t>(outcome)];
}

Finding at_most(double value, double limit, const std::string& what) {
  const bool holds = value <= limit;
  return {.outcome = holds ? Outcome::pass : Outcome::fail,
          .figure = fmt::format("{:.1e}", value),
          .bound = fmt::format("at most {:.0e}", limit),
          .reason = holds || what.empty() ? "" : "in " + what,
          .value = value};
}

Finding wanted(bool holds, const std::string& figure, const std::string& bound) {
  return {.outcome = holds ? Outcome::pass : Outcome::fail, .figure = figure, .bound = bound, .reason = {}};
}

Finding measured(const std::string& figure) {
  return {.outcome = Outcome::pass, .figure = figure, .bound = {}, .reason = {}};
}

Finding skipped(const std::string& reason) {
  return {.outcome = Outcome::skip, .figure = {}, .bound = {}, .reason = reason};
}

Finding failed(const std::string& reason) {
  return {.outcome = Outcome::fail, .figure = {}, .bound = {}, .reason = reason.substr(0, reason.find('\n'))};
}

std::string to_text(const Finding& finding) {
  // JSON has no NaN and no infinity: such a value failed and is in the figure.
  const json object = {{"outcome", outcome_word(finding.outcome)},
                       {"figure", finding.figure},
                       {"bound", finding.bound},
                       {"reason", finding.reason},
                       {"value", std::isfinite(finding.value) ? finding.value : 0.0}};
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Finding finding_from(const std::string& text) {
  try {
    const json object = json::parse(text);
    const auto word = object.at("outcome").get<std::string>();
    const auto* const found = std::find(kWords.begin(), kWords.end(), word);
    check(found != kWords.end(), "no such outcome: {}", word);
    return {.outcome = static_cast<Outcome>(found - kWords.begin()),
            .figure = object.at("figure").get<std::string>(),
            .bound = object.at("bound").get<std::string>(),
            .reason = object.at("reason").get<std::string>(),
            .value = object.at("value").get<double>()};
  } catch (const json::exception&) {
    fail("not the finding of a check: '{}'", text.substr(0, 80));
  }
}

Row merged(const std::string& group, const std::string& name, const std::vector<Finding>& by_rank, double seconds) {
  Row row{.group = group, .name = name, .finding = {}, .failed_ranks = {}, .seconds = seconds};
  const Finding* shown = &by_rank.front();
  for (std::size_t rank = 0; rank < by_rank.size(); ++rank) {
    const Finding& found = by_rank[rank];
    if (found.outcome == Outcome::fail) {
      row.failed_ranks.push_back(static_cast<int>(rank));
    }
    const bool is_worse = found.outcome > shown->outcome;
    const bool is_larger =
        found.outcome == Outcome::pass && shown->outcome == Outcome::pass && found.value > shown->value;
    if (is_worse || is_larger) {
      shown = &found;
    }
  }
  row.finding = *shown;
  if (!row.failed_ranks.empty() && by_rank.size() > 1) {
    const std::string ranks = ranks_text(row.failed_ranks);
    row.finding.reason = row.finding.reason.empty() ? ranks : ranks + ": " + row.finding.reason;
  }
  return row;
}

std::string header_line() {
  return fmt::format("{:<4}  {:<62} {:>7}  {}", "", "check", "seconds", "figure");
}

std::string row_line(const Row& row) {
  std::string words = figure_and_bound(row.finding);
  if (!row.finding.reason.empty()) {
    words += (words.empty() ? "" : "; ") + row.finding.reason;
  }
  return fmt::format("{:<4}  {:<62} {:>7.1f}  {}", outcome_word(row.finding.outcome), row.group + ": " + row.name,
                     row.seconds, words);
}

std::string summary_line(const std::vector<Row>& rows) {
  return fmt::format("{} checks: {} passed, {} skipped, {} failed", rows.size(), count_of(rows, Outcome::pass),
                     count_of(rows, Outcome::skip), count_of(rows, Outcome::fail));
}

std::string cuda_graph_advice(const std::vector<Row>& rows) {
  std::vector<Row> capture;
  std::ranges::copy_if(rows, std::back_inserter(capture), [](const Row& row) { return row.group == kCudaGraphGroup; });
  if (any_failed(capture)) {
    return "CUDA graphs fail here: leave train.cuda_graph = false";
  }
  if (capture.empty() || count_of(capture, Outcome::skip) > 0) {
    return {};
  }
  return "CUDA graphs work here: set train.cuda_graph = true, and a step costs the host one launch instead of "
         "thousands";
}

bool any_failed(const std::vector<Row>& rows) {
  return count_of(rows, Outcome::fail) > 0;
}

json to_json(const std::vector<Row>& rows) {
  json checks = json::array();
  for (const Row& row : rows) {
    checks.push_back({{"group", row.group},
                      {"name", row.name},
                      {"outcome", outcome_word(row.finding.outcome)},
                      {"figure", row.finding.figure},
                      {"value", row.finding.value},
                      {"bound", row.finding.bound},
                      {"reason", row.finding.reason},
                      {"failed_ranks", row.failed_ranks},
                      {"seconds", row.seconds}});
  }
  return {{"checks", checks},
          {"passed", count_of(rows, Outcome::pass)},
          {"skipped", count_of(rows, Outcome::skip)},
          {"failed", count_of(rows, Outcome::fail)}};
}

}  // namespace xtasc::launch
