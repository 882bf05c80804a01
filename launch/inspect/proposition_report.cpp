#include "launch/inspect/proposition_report.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/text_table.hpp"

namespace xtasc::launch {

namespace {

using analysis::Estimate;
using analysis::Verdict;

constexpr double kTolerance = 0.05;   // of slopes, residuals and the Pythagorean ratio
constexpr double kSmallShare = 0.01;  // of calibration errors, and of what counts as 0

const char* condition_text(int number) {
  switch (number) {
    case 1:
      return "direct = E[Y|X]: its residual has mean 0 and is uncorrelated with what is a function of X";
    case 2:
      return "transferred = E[direct | the other task's prediction]: the same, of direct on transferred";
    case 3:
      return "direct is a function of the other task's prediction (what \"= 0\" needs)";
    case 4:
      return "trained by losses whose minimisers are conditional means, as squared error's";
    case 5:
      return "Y is a real number";
    default:
      fail("no condition {}", number);
  }
}

const char* verdict_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::held:
      return "held";
    case Verdict::failed:
      return "did not hold";
    case Verdict::undecided:
      return "within noise";
  }
  fail("unknown verdict {}", static_cast<int>(verdict));
}

/// What a loss is, and whether its minimiser is a conditional mean.
struct Estimator {
  std::string text;
  bool is_mean;
};

Estimator depth_estimator(config::DepthLoss loss) {
  switch (loss) {
    case config::DepthLoss::mse:
      return {"squared error", true};
    case config::DepthLoss::l1:
      return {"L1: a conditional median", false};
    case config::DepthLoss::log_l1:
    case config::DepthLoss::smooth_l1:
      return {fmt::format("{}: neither mean nor median", config::name(loss)), false};
  }
  fail("unknown depth loss {}", static_cast<int>(loss));
}

Estimator cosine_estimator() {
  return {"1 - cos: the direction of the mean, not the mean", false};
}

Estimator direct_estimator(task::Kind kind, const config::LossSection& loss) {
  switch (kind) {
    case task::Kind::classes:
      return {"cross entropy: no squared error, but the same minimiser", true};
    case task::Kind::depth:
      return depth_estimator(loss.depth);
    case task::Kind::unit_vector:
      return cosine_estimator();
  }
  fail("unknown kind of task {}", static_cast<int>(kind));
}

Estimator transferred_estimator(task::Kind kind, const config::RunConfig& config) {
  const config::LossSection& loss = config.loss;
  if (config.model.system == "align") {
    return direct_estimator(kind, loss);
  }
  if (kind == task::Kind::unit_vector) {
    return cosine_estimator();
  }
  if (kind == task::Kind::depth) {
    return loss.transferred_depth == config::TransferredDepthLoss::l1
               ? depth_estimator(config::DepthLoss::l1)
               : Estimator{"ssim: neither mean nor median", false};
  }
  const auto word = config::name(loss.transferred_segmentation);
  if (loss.label_smoothing > 0.0) {
    return {fmt::format("{}, smoothed targets: not the mean of direct", word), false};
  }
  return loss.soft_target
             ? Estimator{fmt::format("{}, soft targets: no squared error, but the same minimiser", word), true}
             : Estimator{fmt::format("{}, arg-max targets: the mean of direct's arg-max", word), false};
}

Condition by_figure(const MeasuredRun& run, int number, std::string what, const at::Tensor& replicates, double ideal,
                    double tolerance) {
  const Estimate figure = analysis::estimate(replicates, run.figures.num_images);
  return {.system = run.config.model.system,
          .number = number,
          .what = std::move(what),
          .figure = figure,
          .ideal = ideal,
          .tolerance = tolerance,
          .verdict = analysis::near_ideal(figure, ideal, tolerance)};
}

Condition by_words(const MeasuredRun& run, int number, std::string what, bool holds) {
  return {.system = run.config.model.system,
          .number = number,
          .what = std::move(what),
          .by_figure = false,
          .verdict = holds ? Verdict::held : Verdict::failed};
}

Condition is_real_number(const MeasuredRun& run, task::Kind kind) {
  switch (kind) {
    case task::Kind::classes:
      return by_words(run, 5, "labels are one-hot vectors: read by class, squares added up", false);
    case task::Kind::depth:
      return by_words(run, 5, "depth is one", true);
    case task::Kind::unit_vector:
      return by_words(run, 5, "normals are unit vectors: read by component, squares added up", false);
  }
  fail("unknown kind of task {}", static_cast<int>(kind));
}

void add_conditions(task::Kind kind, const MeasuredRun& run, std::vector<Condition>& conditions) {
  const auto& figures = run.figures;
  const auto add_regression = [&](int number, const analysis::Regression& regression, const char* target) {
    conditions.push_back(
        by_figure(run, number, fmt::format("mean residual / sd({})", target), regression.residual, 0.0, kTolerance));
    conditions.push_back(by_figure(run, number, "slope", regression.slope, 1.0, kTolerance));
    if (kind == task::Kind::classes) {
      conditions.push_back(by_figure(run, number, "calibration error", regression.calibration, 0.0, kSmallShare));
    }
  };
  add_regression(1, figures.truth_on_direct, "Y");
  conditions.push_back(by_figure(run, 1, "to truth / (to direct + xi_Y)", figures.pythagoras, 1.0, kTolerance));
  add_regression(2, figures.direct_on_transferred, "direct");
  conditions.push_back(by_figure(run, 3, "unexplained share of Var(direct)", figures.unexplained, 0.0, kSmallShare));
  const Estimator direct = direct_estimator(kind, run.config.loss);
  const Estimator transferred = transferred_estimator(kind, run.config);
  conditions.push_back(by_words(run, 4, "direct: " + direct.text, direct.is_mean));
  conditions.push_back(by_words(run, 4, "transferred: " + transferred.text, transferred.is_mean));
  conditions.push_back(is_real_number(run, kind));
}

Inequality inequality(std::string claim, const at::Tensor& left, const at::Tensor& right, std::int64_t num_images) {
  const Estimate difference = analysis::estimate(left - right, num_images);
  return {.claim = std::move(claim),
          .difference = difference,
          .ratio = analysis::estimate(left / right, num_images),
          .verdict = analysis::at_most_zero(difference)};
}

nlohmann::json number_or_null(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json();
}

nlohmann::json to_json(const Estimate& estimate) {
  return {{"value", number_or_null(estimate.value)},
          {"error", number_or_null(estimate.error)},
          {"low", number_or_null(estimate.low)},
          {"high", number_or_null(estimate.high)}};
}

std::string interval_text(const Estimate& estimate) {
  return std::isfinite(estimate.low) ? fmt::format("[{:.4g}, {:.4g}]", estimate.low, estimate.high) : "unknown";
}

}  // namespace

std::string predictor_name(const std::string& system) {
  return system == "align" ? "ALIGN" : "XTC";
}

SideReport judge(const Side& side, const std::vector<MeasuredRun>& runs) {
  SideReport report = {.side = side,
                       .num_images = runs.front().figures.num_images,
                       .num_pixels = runs.front().figures.num_pixels,
                       .mean_squares = {},
                       .inequalities = {},
                       .conditions = {}};
  std::map<std::string, const analysis::PropositionFigures*> by_predictor;
  for (const MeasuredRun& run : runs) {
    const std::string name = predictor_name(run.config.model.system);
    const auto& figures = run.figures;
    by_predictor[name] = &figures;
    for (const auto& [what, replicates] : {std::pair{name + " to direct", figures.transferred_to_direct},
                                           {name + "'s xi_Y (direct to truth)", figures.direct_to_truth},
                                           {name + " to truth", figures.transferred_to_truth}}) {
      report.mean_squares.push_back({what, analysis::estimate(replicates, figures.num_images)});
    }
    add_conditions(side.to.kind, run, report.conditions);
  }
  std::ranges::stable_sort(report.conditions, {}, &Condition::number);
  const auto xtc = by_predictor.find("XTC");
  const auto align = by_predictor.find("ALIGN");
  if (xtc != by_predictor.end()) {
    const auto& figures = *xtc->second;
    const Estimate unexplained = analysis::estimate(figures.unexplained, report.num_images);
    report.inequalities.push_back({.claim = fmt::format("XTC = 0, to {:g} of Var(direct)", kSmallShare),
                                   .difference = analysis::estimate(figures.transferred_to_direct, report.num_images),
                                   .ratio = unexplained,
                                   .verdict = analysis::near_ideal(unexplained, 0.0, kSmallShare)});
  }
  if (xtc != by_predictor.end() && align != by_predictor.end()) {
    report.inequalities.push_back(inequality("XTC <= ALIGN", xtc->second->transferred_to_direct,
                                             align->second->transferred_to_direct, report.num_images));
  }
  for (const auto& [name, figures] : by_predictor) {
    report.inequalities.push_back(inequality(fmt::format("{} <= its xi_Y", name), figures->transferred_to_direct,
                                             figures->direct_to_truth, report.num_images));
  }
  return report;
}

void print(const SideReport& report) {
  fmt::print("\nY = {}, Z = {}: {:.0f} pixels of {} images\n", report.side.to.name, report.side.from.name,
             report.num_pixels, report.num_images);
  const auto digits = [](double value) { return fmt::format("{:.4g}", value); };
  std::vector<std::vector<std::string>> cells = {{"mean square", "value", "error", "95 %"}};
  for (const auto& [name, estimate] : report.mean_squares) {
    cells.push_back({name, digits(estimate.value), fmt::format("{:.2g}", estimate.error), interval_text(estimate)});
  }
  fmt::print("{}", text_table(cells));
  cells = {{"claim", "left-right", "ratio", "left - right, 95 %"}};
  for (const Inequality& i : report.inequalities) {
    cells.push_back({i.claim, digits(i.difference.value), digits(i.ratio.value), interval_text(i.difference),
                     verdict_text(i.verdict)});
  }
  fmt::print("\n{}", text_table(cells));
  for (std::size_t i = 0; i < report.conditions.size();) {
    const int number = report.conditions[i].number;
    cells.clear();
    for (; i < report.conditions.size() && report.conditions[i].number == number; ++i) {
      const Condition& c = report.conditions[i];
      const auto figures = c.by_figure
                               ? std::array{digits(c.figure.value), fmt::format("{:g}+-{:g}", c.ideal, c.tolerance),
                                            interval_text(c.figure)}
                               : std::array<std::string, 3>();
      cells.push_back(
          {fmt::format("{}: {}", c.system, c.what), figures[0], figures[1], figures[2], verdict_text(c.verdict)});
    }
    fmt::print("\n({}) {}\n{}", number, condition_text(number), text_table(cells));
  }
}

nlohmann::json to_json(const SideReport& report) {
  nlohmann::json json = {{"y", report.side.to.name},
                         {"z", report.side.from.name},
                         {"images", report.num_images},
                         {"pixels", report.num_pixels},
                         {"mean_squares", nlohmann::json::object()},
                         {"inequalities", nlohmann::json::array()},
                         {"conditions", nlohmann::json::array()}};
  for (const auto& [name, estimate] : report.mean_squares) {
    json["mean_squares"][name] = to_json(estimate);
  }
  for (const Inequality& i : report.inequalities) {
    json["inequalities"].push_back({{"claim", i.claim},
                                    {"difference", to_json(i.difference)},
                                    {"ratio", to_json(i.ratio)},
                                    {"verdict", verdict_text(i.verdict)}});
  }
  for (const Condition& c : report.conditions) {
    nlohmann::json one = {{"system", c.system},
                          {"number", c.number},
                          {"condition", condition_text(c.number)},
                          {"what", c.what},
                          {"verdict", verdict_text(c.verdict)}};
    if (c.by_figure) {
      one.update({{"figure", to_json(c.figure)}, {"ideal", c.ideal}, {"tolerance", c.tolerance}});
    }
    json["conditions"].push_back(one);
  }
  return json;
}

}  // namespace xtasc::launch
