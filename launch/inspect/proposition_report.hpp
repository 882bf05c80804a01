#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "analysis/bootstrap.hpp"
#include "analysis/proposition.hpp"
#include "config/run_config.hpp"

namespace xtasc::launch {

/// Y of the Proposition is the task `to`, Z the task `from`.
using Side = analysis::TaskPair;

/// What was measured of one run on one side.
struct MeasuredRun {
  config::RunConfig config;
  analysis::PropositionFigures figures;
};

/// A mean square as it is printed: "XTC to direct", 0.1 +- 0.01.
struct MeanSquare {
  std::string name;
  analysis::Estimate estimate;
};

/// One claim `left <= right`, by the paired replicates of both; or `left = 0`, judged by left / Var(direct).
struct Inequality {
  std::string claim;
  analysis::Estimate difference;  ///< left - right
  analysis::Estimate ratio;       ///< left / right, or left / Var(direct)
  analysis::Verdict verdict = analysis::Verdict::undecided;
};

/// One condition of the Proposition: by a figure with its ideal and tolerance, or by words.
struct Condition {
  std::string system;  ///< the run's
  int number = 0;      ///< 1 to 5, see condition_text
  std::string what;
  bool by_figure = true;
  analysis::Estimate figure = {};
  double ideal = 0.0, tolerance = 0.0;
  analysis::Verdict verdict = analysis::Verdict::undecided;
};

/// All that is to be said of one side.
struct SideReport {
  Side side;
  std::int64_t num_images = 0;
  double num_pixels = 0.0;
  std::vector<MeanSquare> mean_squares;
  std::vector<Inequality> inequalities;
  std::vector<Condition> conditions;
};

/// Judges one side by one run, or two of different systems on the same images, with the same draws.
[[nodiscard]] SideReport judge(const Side& side, const std::vector<MeasuredRun>& runs);

/// The Proposition's name for the transferred predictor of a run: "XTC" or "ALIGN".
[[nodiscard]] std::string predictor_name(const std::string& system);

void print(const SideReport& report);
[[nodiscard]] nlohmann::json to_json(const SideReport& report);

}  // namespace xtasc::launch
