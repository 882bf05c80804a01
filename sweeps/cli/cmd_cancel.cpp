// xtasc-sweep cancel: takes a sweep's runs out of Slurm.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>

#include "sweep/folder.hpp"
#include "sweep/inputs.hpp"
#include "sweep/select.hpp"
#include "sweep/slurm/submission.hpp"
#include "sweeps/cli/commands.hpp"

namespace xtasc::sweeps {

namespace {

ExitCode cancel(const SweepChoice& choice, const std::vector<std::string>& only) {
  const sweep::Sweep sweep = choice.read();
  const sweep::SweepFolder folder{sweep.folder};
  const std::vector<const sweep::PlannedRun*> selected = sweep::select(sweep, only);
  sweep::require_ids(sweep, selected, "nothing was cancelled");
  std::vector<std::string> runs;
  for (const sweep::PlannedRun* run : selected) {
    runs.push_back(run->id);
  }
  sweep::prepare_sweep_folder(folder);
  const FileLock lock = sweep::lock_sweep(folder);
  std::vector<sweep::Submission> submissions = sweep::read_submissions(folder);
  if (submissions.empty()) {
    fmt::print("nothing was submitted\n");
    return ExitCode::success;
  }
  const sweep::Slurm slurm(kPatience);
  const auto jobs = sweep::find_lost_answers(submissions, slurm);
  const sweep::SubmittedRuns submitted = sweep::submitted_runs(submissions, jobs);
  const std::int64_t num_active = sweep::cancel(folder, submissions, jobs, runs, slurm);
  fmt::print("cancelled {} run{}\n", num_active, num_active == 1 ? "" : "s");
  if (const std::string others = sweep::strangers_text(sweep, sweep::to_queue(submitted)); !others.empty()) {
    fmt::print("{}; scancel ends their jobs\n", others);
  }
  return ExitCode::success;
}

}  // namespace

Command add_cancel(CLI::App& program) {
  CLI::App* app = program.add_subcommand("cancel", "End a sweep's runs in Slurm; none comes back by itself");
  const auto choice = std::make_shared<SweepChoice>();
  const auto only = std::make_shared<std::vector<std::string>>();
  add_sweep_choice(*app, *choice);
  add_only(*app, *only);
  return {app, [=] { return cancel(*choice, *only); }};
}

}  // namespace xtasc::sweeps
