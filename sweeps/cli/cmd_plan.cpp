// xtasc-sweep plan: what sweeps would run, and what that costs.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "core/progress.hpp"
#include "core/text_table.hpp"
#include "sweep/cost.hpp"
#include "sweep/halving/rungs.hpp"
#include "sweep/inputs.hpp"
#include "sweep/select.hpp"
#include "sweep/slurm/site.hpp"
#include "sweep/waiting.hpp"
#include "sweeps/cli/commands.hpp"

namespace xtasc::sweeps {

namespace {

struct PlanOptions {
  std::vector<std::string> files, assignments, only;
  std::string site = slurm_file("site.toml");
  double tflops = 0.0;
  bool is_brief = false;
};

/// What some runs cost together.
struct Total {
  std::size_t runs = 0;
  double hours = 0.0, hours_left = 0.0;  ///< of one rank: GPU-hours where each rank has a GPU
  double petaflop_without_rate = 0.0;
  std::map<sweep::CostSource, std::size_t> sources;
  std::size_t without_shape = 0;
  bool is_bound = false;  ///< [stop] may end runs before

  /// \param share  of the run's epochs that it trains at most
  void add(const sweep::RunCost& cost, const sweep::RunStatus& status, double share) {
    const double done =
        status.state == sweep::State::done
            ? 1.0
            : static_cast<double>(status.epoch) / static_cast<double>(std::max<std::int64_t>(1, status.epochs));
    ++runs;
    ++sources[cost.source];
    is_bound = is_bound || share < 1.0;
    hours += cost.rank_hours() * share;
    hours_left += cost.rank_hours() * std::max(0.0, share - std::min(1.0, done));
    if (cost.source == sweep::CostSource::unknown) {
      petaflop_without_rate += cost.flop.value_or(0.0) * share / 1e15;
      without_shape += cost.flop ? 0 : 1;
    }
  }

  [[nodiscard]] std::string text() const {
    std::vector<std::string> parts;
    for (const auto& [source, count] : sources) {
      parts.push_back(fmt::format("{} {}", count, sweep::name(source)));
    }
    std::string text = fmt::format("{} run{} ({})", runs, runs == 1 ? "" : "s", fmt::join(parts, ", "));
    const std::size_t num_known =
        runs - (sources.contains(sweep::CostSource::unknown) ? sources.at(sweep::CostSource::unknown) : 0);
    if (num_known > 0) {
      text += fmt::format(": {}{} rank-hours, {} of them still to run", is_bound ? "at most " : "", hours_text(hours),
                          hours_text(hours_left));
    }
    if (petaflop_without_rate > 0.0) {
      text += fmt::format("{} {:.4g} PFLOP without a known rate", num_known > 0 ? ", and" : ":", petaflop_without_rate);
    }
    if (without_shape > 0) {
      text += fmt::format("; {} of unknown size (no pack here, no [data_shape] in the sweep file)", without_shape);
    }
    return text;
  }

  [[nodiscard]] static std::string hours_text(double value) { return fmt::format("{:.3g}", value); }
};

std::string time_text(const sweep::RunCost& cost) {
  if (cost.source != sweep::CostSource::unknown) {
    return duration_text(cost.seconds);
  }
  return cost.flop ? fmt::format("{:.3g} PFLOP", *cost.flop / 1e15) : "-";
}

/// The runs that can only be run one after the other and take the longest, where all of their times are known.
class LongestChain {
 public:
  void add(const sweep::PlannedRun& run, const sweep::RunCost& cost) {
    runs_[run.id] = {&run, cost.source == sweep::CostSource::unknown ? std::nullopt : std::optional(cost.seconds)};
  }

  /// "the longest chain takes 3 h 20 min: A, then B"; empty where no run needs another.
  [[nodiscard]] std::string text() const {
    Chain longest;
    bool is_known = true, has_needs = false;
    for (const auto& [id, timed] : runs_) {
      has_needs = has_needs || !timed.run->needs.empty();
      const Chain chain = chain_to(id);
      is_known = is_known && chain.is_known;
      longest = chain.seconds > longest.seconds ? chain : longest;
    }
    return has_needs && is_known ? fmt::format("the longest chain takes {}: {}", duration_text(longest.seconds),
                                               fmt::join(longest.ids, ", then "))
                                 : "";
  }

 private:
  struct Timed {
    const sweep::PlannedRun* run = nullptr;
    std::optional<double> seconds = {};
  };
  struct Chain {
    double seconds = 0.0;
    bool is_known = true;
    std::vector<std::string> ids = {};
  };

  [[nodiscard]] Chain chain_to(const std::string& id) const {
    const auto timed = runs_.find(id);
    if (timed == runs_.end()) {
      return {};  // not selected
    }
    Chain longest;
    for (const std::string& needed : timed->second.run->needs) {
      Chain chain = chain_to(needed);
      const bool is_known = longest.is_known && chain.is_known;
      longest = chain.seconds > longest.seconds ? std::move(chain) : longest;
      longest.is_known = is_known;
    }
    longest.seconds += timed->second.seconds.value_or(0.0);
    longest.is_known = longest.is_known && timed->second.seconds.has_value();
    longest.ids.push_back(id);
    return longest;
  }

  std::map<std::string, Timed> runs_;
};

std::vector<std::string> line_of(const sweep::PlannedRun& run, const sweep::RunStatus& status,
                                 const sweep::RunCost& cost) {
  const bool is_elsewhere = status.state == sweep::State::done && !status.detail.empty();
  return {run.id,
          run.row,
          fmt::format("{}", run.config.run.seed),
          is_elsewhere ? fmt::format("done {}", status.detail) : std::string(sweep::name(status.state)),
          fmt::format("{}", run.config.train.epochs),
          time_text(cost),
          cost.source == sweep::CostSource::unknown ? "" : fmt::format("{}", cost.ranks),
          cost.source == sweep::CostSource::unknown ? "no rate known" : std::string(sweep::name(cost.source)),
          run.needs.empty() ? "" : fmt::format("after {}", fmt::join(run.needs, ", "))};
}

/// What all runs of a sweep cost to their ends, by id: rank-hours, or arithmetic where no rate is known.
std::map<std::string, double> weights_of(const sweep::Sweep& sweep, const sweep::CostModel& model) {
  std::map<std::string, double> weights;
  for (const sweep::PlannedRun& run : sweep.runs) {
    const sweep::RunCost cost = model.cost_of(sweep, run);
    weights[run.id] = cost.source == sweep::CostSource::unknown ? cost.flop.value_or(1.0) : cost.rank_hours();
  }
  return weights;
}

/// "[stop] by delta_m: of 12 rows 6 go on after epoch 20, 3 after epoch 60; at most 800 of 1400 epochs are trained".
std::string stop_text(const sweep::Sweep& sweep, const sweep::Rungs& rungs,
                      const std::map<std::string, std::int64_t>& epochs) {
  std::vector<std::string> parts;
  for (const std::int64_t rung : sweep.stop->after_epochs) {
    const auto goes_on = [&](const sweep::RacingRow& row) { return epochs.at(row.runs.front().run->id) > rung; };
    const auto count = std::ranges::count_if(rungs.rows(), goes_on);
    const std::string_view verb = !parts.empty() ? "" : count == 1 ? " goes on" : " go on";
    parts.push_back(fmt::format("{}{} after epoch {}", count, verb, rung));
  }
  std::int64_t most = 0, all = 0;
  for (const sweep::PlannedRun& run : sweep.runs) {
    most += epochs.at(run.id);
    all += run.config.train.epochs;
  }
  return fmt::format("[stop] by {}: of {} rows {}; at most {} of {} epochs are trained", sweep.stop->by,
                     rungs.rows().size(), fmt::join(parts, ", "), most, all);
}

/// From the command line, else from the site file. \returns 0 when nobody knows
double tflops_of(const PlanOptions& options) {
  std::error_code ignored;
  const bool has_site = std::filesystem::exists(options.site, ignored);
  return options.tflops > 0.0 || !has_site ? options.tflops : sweep::read_site(options.site).tflops_per_rank;
}

ExitCode plan(const PlanOptions& options) {
  const double flops_per_rank = tflops_of(options) * 1e12;
  Total all;
  std::set<std::string> counted;
  bool lacks_rate = false;
  for (const std::string& file : options.files) {
    const sweep::Sweep sweep = sweep::read_sweep(file, options.assignments);
    const sweep::CostModel model(sweep.folder.parent_path(), flops_per_rank);
    const sweep::Queue queue = queue_if_it_answers(sweep);
    std::vector<std::vector<std::string>> cells = {
        {"run", "row", "seed", "state", "epochs", "time", "ranks", "from", ""}};
    Total total;
    LongestChain chain;
    const sweep::Rungs rungs(sweep, queue);
    const std::map<std::string, std::int64_t> epochs =
        sweep::epochs_at_most(sweep, rungs, sweep.stop ? weights_of(sweep, model) : std::map<std::string, double>());
    for (const sweep::PlannedRun* run : sweep::select(sweep, options.only)) {
      const sweep::RunStatus status = sweep::status_in(sweep, *run, queue, rungs);
      const double share =
          static_cast<double>(epochs.at(run->id)) / static_cast<double>(std::max<std::int64_t>(1, status.epochs));
      const sweep::RunCost cost = model.cost_of(sweep, *run);
      cells.push_back(line_of(*run, status, cost));
      total.add(cost, status, share);
      chain.add(*run, cost);
      if (counted.insert(run->id).second) {
        all.add(cost, status, share);
      }
    }
    lacks_rate = lacks_rate || total.sources.contains(sweep::CostSource::unknown);
    fmt::print("{}: {}\n{}{}{}\n", sweep.name, sweep.title, options.is_brief ? "" : text_table(cells),
               options.is_brief ? "" : "\n", total.text());
    if (!sweep.drawn.empty()) {
      fmt::print("[random] {}\n", sweep.drawn);
    }
    if (sweep.stop) {
      fmt::print("{}\n", stop_text(sweep, rungs, epochs));
    }
    if (const std::string text = chain.text(); !text.empty()) {
      fmt::print("{}\n", text);
    }
    for (const std::string& reason : sweep::reasons_without_id(sweep::select(sweep, options.only))) {
      fmt::print("no id yet: {}\n", reason);
    }
  }
  if (options.files.size() > 1) {
    fmt::print("\nall, a run that several sweeps share counted once: {}\n", all.text());
  }
  fmt::print(
      "\nA rank-hour is a GPU-hour where each rank has a GPU. Modelled: multiply-adds of the layers divided by "
      "the rate given.\n");
  if (lacks_rate) {
    fmt::print(
        "No rate is known for some runs: name the TFLOP/s that one GPU (or rank) sustains by --tflops, or in "
        "the site file.\n");
  }
  return ExitCode::success;
}

}  // namespace

Command add_plan(CLI::App& program) {
  CLI::App* app = program.add_subcommand("plan", "Every run of some sweeps: its state, its time, and what all cost");
  const auto options = std::make_shared<PlanOptions>();
  app->add_option("SWEEP", options->files, "Sweep files (.toml)")->required();
  app->add_option("--set", options->assignments, "Override one key for all runs: section.key=value; may be repeated")
      ->allow_extra_args(false);
  add_only(*app, options->only);
  app->add_option("--tflops", options->tflops,
                  "TFLOP/s that one GPU (or rank) sustains in training, for runs that nothing like was measured of")
      ->check(CLI::PositiveNumber);
  app->add_option("--site", options->site, "The site file, where it may say so too")->capture_default_str();
  app->add_flag("--brief", options->is_brief, "Only what each sweep costs, not its runs");
  return {app, [options] { return plan(*options); }};
}

}  // namespace xtasc::sweeps
