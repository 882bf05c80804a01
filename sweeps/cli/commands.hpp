#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "sweep/local/local.hpp"
#include "sweep/state.hpp"
#include "sweep/sweep.hpp"

namespace CLI {
class App;
}

namespace xtasc::sweeps {

/// For which an answer of Slurm is waited.
inline constexpr std::chrono::seconds kPatience{300};

/// A subcommand of xtasc-sweep: where the command line was parsed to, and what to do then.
struct Command {
  CLI::App* app;
  std::function<ExitCode()> run;
  /// How long it may take to end by itself when a signal asks it to: it looks for that. nullopt: as long as it takes.
  std::function<std::optional<std::chrono::seconds>()> stop_patience = [] { return std::chrono::seconds(0); };
};

/// Of commands that look again and again until a signal comes: Slurm's answer and a last page take their time, and a
/// file that does not answer takes for ever.
inline constexpr std::chrono::seconds kLookPatience{15};

/// A file of slurm/: in a bundle beside the program, else in the source.
[[nodiscard]] std::string slurm_file(const char* name);

/// Which sweep: a file, and assignments for all of its runs.
struct SweepChoice {
  std::string file;
  std::vector<std::string> assignments;

  [[nodiscard]] sweep::Sweep read() const { return sweep::read_sweep(file, assignments); }
};

/// Adds SWEEP and --set.
void add_sweep_choice(CLI::App& app, SweepChoice& choice);

/// Adds --only.
void add_only(CLI::App& app, std::vector<std::string>& only);

/// What submit is told.
struct SubmitOptions {
  SweepChoice choice;
  std::string site = slurm_file("site.toml");
  std::string form = slurm_file("job.sbatch.in");
  std::string trainer;
  std::vector<std::string> only;
  bool dry_run = false;
};
/// Adds --site, --template.
void add_site_options(CLI::App& app, SubmitOptions& options);
/// Hands to Slurm what is not done, failed or under way.
ExitCode submit_runs(const SubmitOptions& options);

/// Adds --jobs, --ranks, --only, --max-failures, --trainer.
void add_local_options(CLI::App& app, sweep::LocalOptions& options);

/// What the cluster says of the sweep's runs; empty where nothing was ever submitted. Waits for Slurm to answer.
/// \throws Error when it does not
[[nodiscard]] sweep::Queue queue_of(const sweep::Sweep& sweep);
/// The same for who only looks: without an answer it warns and returns nothing.
[[nodiscard]] sweep::Queue queue_if_it_answers(const sweep::Sweep& sweep);

// One file each: cmd_NAME.cpp adds its subcommand to the program.
[[nodiscard]] Command add_plan(CLI::App& program);
[[nodiscard]] Command add_run(CLI::App& program);
[[nodiscard]] Command add_status(CLI::App& program);
[[nodiscard]] Command add_logs(CLI::App& program);
[[nodiscard]] Command add_retry(CLI::App& program);
[[nodiscard]] Command add_submit(CLI::App& program);
[[nodiscard]] Command add_cancel(CLI::App& program);
[[nodiscard]] Command add_collect(CLI::App& program);
[[nodiscard]] Command add_rung(CLI::App& program);

}  // namespace xtasc::sweeps
