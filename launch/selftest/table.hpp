#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace xtasc::launch {

enum class Outcome { pass, skip, fail };
/// "PASS", "SKIP" or "FAIL".
[[nodiscard]] std::string_view outcome_word(Outcome outcome);

/// What one rank found in one check.
struct Finding {
  Outcome outcome = Outcome::pass;
  std::string figure;  ///< what was measured, in words
  std::string bound;   ///< what is allowed, in words; empty when nothing is
  std::string reason;  ///< why SKIP or FAIL, one line
  double value = 0.0;  ///< the figure as a number, where it has one: of ranks that pass, the largest is shown
};

/// Passes when value <= limit; NaN fails. \param what  of several values this one is, e.g. a tensor's name; may be
/// empty
[[nodiscard]] Finding at_most(double value, double limit, const std::string& what = {});
/// Passes when `holds`. \param figure  what was looked at. \param bound  what was wanted of it
[[nodiscard]] Finding wanted(bool holds, const std::string& figure, const std::string& bound);
/// Passes: a figure that nothing can be held against.
[[nodiscard]] Finding measured(const std::string& figure);
[[nodiscard]] Finding skipped(const std::string& reason);
/// \param reason  only its first line is kept: libraries append backtraces
[[nodiscard]] Finding failed(const std::string& reason);

/// As one text for MpiSession::gather(), and back. \throws Error when the text is not such a one
[[nodiscard]] std::string to_text(const Finding& finding);
[[nodiscard]] Finding finding_from(const std::string& text);

/// A check's row in the table: what all ranks found.
struct Row {
  std::string group, name;
  Finding finding;
  std::vector<int> failed_ranks;
  double seconds = 0.0;
};

/// FAIL if a rank failed, with the ranks named and the words of the first; else SKIP if one skipped; else PASS, with
/// the largest value of all. \param by_rank  not empty
[[nodiscard]] Row merged(const std::string& group, const std::string& name, const std::vector<Finding>& by_rank,
                         double seconds);

/// The line above the rows.
[[nodiscard]] std::string header_line();
[[nodiscard]] std::string row_line(const Row& row);
/// "23 checks: 21 passed, 2 skipped, 0 failed".
[[nodiscard]] std::string summary_line(const std::vector<Row>& rows);
[[nodiscard]] bool any_failed(const std::vector<Row>& rows);

/// The group of the checks that decide about train.cuda_graph.
inline constexpr const char* kCudaGraphGroup = "CUDA graph";
/// What to set train.cuda_graph to on this machine, by those checks: one line, empty where they were skipped.
[[nodiscard]] std::string cuda_graph_advice(const std::vector<Row>& rows);

/// {"checks": [...], "passed": n, "skipped": n, "failed": n}.
[[nodiscard]] nlohmann::json to_json(const std::vector<Row>& rows);

}  // namespace xtasc::launch
