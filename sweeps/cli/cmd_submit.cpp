// xtasc-sweep submit: hands a sweep's runs to Slurm.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <memory>
#include <set>
#include <utility>

#include "core/log.hpp"
#include "io/atomic_file.hpp"
#include "io/checksum.hpp"
#include "run/attempt.hpp"
#include "sweep/folder.hpp"
#include "sweep/halving/legs.hpp"
#include "sweep/inputs.hpp"
#include "sweep/other_runs.hpp"
#include "sweep/select.hpp"
#include "sweep/slurm/batch_script.hpp"
#include "sweep/slurm/submission.hpp"
#include "sweep/slurm/waves.hpp"
#include "sweep/waiting.hpp"
#include "sweeps/cli/commands.hpp"

namespace xtasc::sweeps {

namespace fs = std::filesystem;

namespace {

/// A job's answer may take long where the controller is busy or away for a moment.
constexpr std::chrono::seconds kSubmitPatience{600};
/// Slurm's own default, for a dry run where no Slurm answers.
constexpr std::int64_t kDefaultMaxArraySize = 1001;

/// The runs to submit, and why the others are left alone.
struct Choice {
  std::vector<const sweep::PlannedRun*> runs;
  std::vector<sweep::Leg> waves;  ///< the same, those that need others after them; then what goes on from each rung
  std::vector<std::string> left_alone;  ///< "ID is done"
  std::size_t num_failed = 0;           ///< of those left alone
};

/// Takes runs out of the choice.
void leave(Choice& choice, const sweep::PlannedRun* run, const std::string& what) {
  std::erase(choice.runs, run);
  choice.left_alone.push_back(fmt::format("{} is {}", run->id, what));
}

/// Puts the chosen runs in order.
void order(Choice& choice, const sweep::Sweep& sweep, const sweep::Rungs& rungs,
           const sweep::SubmittedRuns& submitted) {
  for (const auto& [run, what] : sweep::waves_of(sweep, choice.runs, submitted).left_waiting) {
    leave(choice, run, what);
  }
  sweep::Legs legs = sweep::legs_of(sweep, rungs, choice.runs);
  for (const sweep::PlannedRun* run : legs.left_waiting) {
    leave(choice, run, legs.blocked);
  }
  for (auto& wave : sweep::waves_of(sweep, legs.first, submitted).waves) {
    choice.waves.push_back({.runs = std::move(wave)});
  }
  std::ranges::move(legs.later, std::back_inserter(choice.waves));
}

Choice choose(const sweep::Sweep& sweep, const SubmitOptions& options, const sweep::SubmittedRuns& submitted) {
  const sweep::Queue queue = sweep::to_queue(submitted);
  const sweep::Rungs rungs(sweep, queue);
  Choice choice;
  for (const sweep::PlannedRun* run : sweep::select(sweep, options.only)) {
    const sweep::RunStatus status = sweep::status_in(sweep, *run, queue, rungs);
    const sweep::Verdict verdict = sweep::verdict_on(status.state);
    if (verdict == sweep::Verdict::start) {
      choice.runs.push_back(run);
      continue;
    }
    choice.num_failed += verdict == sweep::Verdict::has_failed ? 1 : 0;
    const bool is_told = verdict != sweep::Verdict::is_done && !status.detail.empty();
    choice.left_alone.push_back(
        fmt::format("{} {} {}{}{}", run->id, status.state == sweep::State::failed ? "has" : "is",
                    sweep::name(status.state), is_told ? ": " : "", is_told ? status.detail : ""));
  }
  order(choice, sweep, rungs, submitted);
  return choice;
}

/// The runs in arrays that Slurm takes.
std::vector<sweep::Leg> split(const Choice& choice, const sweep::Site& site, std::int64_t max_array_size) {
  const auto most = static_cast<std::size_t>(max_array_size * site.runs_per_gpu);
  std::vector<sweep::Leg> arrays;
  for (const sweep::Leg& wave : choice.waves) {
    for (std::size_t i = 0; i < wave.runs.size(); ++i) {
      if (i % most == 0) {
        arrays.push_back({.rung = wave.rung});
      }
      arrays.back().runs.push_back(wave.runs[i]);
    }
  }
  return arrays;
}

/// The jobs that must have ended before the runs of an array go on from their rung: all of this submission's that do
/// not, and those that Slurm has of others which the rung waits for.
std::vector<std::string> jobs_before_rung(const sweep::Rungs& rungs, std::int64_t rung,
                                          const std::vector<std::pair<std::int64_t, std::string>>& arrays,
                                          const sweep::JobsOfRuns& active, const std::string& before) {
  std::set<std::string> jobs;
  for (const auto& [rung_of_array, job] : arrays) {
    if (rung_of_array < rung || job == before) {
      jobs.insert(job);
    }
  }
  for (const sweep::OpenNeed& open : rungs.open_at(rung)) {
    if (const auto job = active.find(open.run->id); job != active.end()) {
      jobs.insert(job->second);
    }
  }
  return {jobs.begin(), jobs.end()};
}

std::string rung_text(const sweep::Leg& array) {
  return array.rung > 0 ? fmt::format(", to go on from epoch {} where they are kept", array.rung) : "";
}

std::string script_of(const sweep::Sweep& sweep, const sweep::Site& site, const std::string& form,
                      const std::string& token, const std::string& trainer_hash, const std::string& sweeper_hash,
                      std::size_t num_runs) {
  return sweep::batch_script(form, site,
                             {.sweep = sweep.name,
                              .token = token,
                              .folder = fs::absolute(sweep.folder).lexically_normal(),
                              .directory = fs::current_path(),
                              .trainer_hash = trainer_hash,
                              .sweeper_hash = sweeper_hash,
                              .num_runs = static_cast<std::int64_t>(num_runs),
                              .max_at_once = site.max_at_once});
}

std::string plural(std::size_t count, const char* word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

/// ", to start when ... have ended": one job, the few that there are, or how many.
std::string after_text(const std::vector<std::string>& jobs) {
  constexpr std::size_t kFew = 4;
  if (jobs.empty()) {
    return {};
  }
  return jobs.size() == 1      ? fmt::format(", to start when job {} has ended", jobs.front())
         : jobs.size() <= kFew ? fmt::format(", to start when the jobs {} have ended", fmt::join(jobs, ", "))
                               : fmt::format(", to start when {} jobs have ended ({}, ...)", jobs.size(), jobs.front());
}

void print_left_alone(const sweep::Sweep& sweep, const Choice& choice) {
  for (const std::string& line : choice.left_alone) {
    fmt::print("{}\n", line);
  }
  if (choice.num_failed > 0) {
    fmt::print("{}\n", sweep::left_alone_text(sweep, choice.num_failed));
  }
}

/// What Slurm says, where it is there: a dry run works without.
sweep::SubmittedRuns ask_if_possible(const std::vector<sweep::Submission>& submissions, std::int64_t& max_array_size) {
  try {
    const sweep::Slurm slurm(std::chrono::seconds(10));
    max_array_size = slurm.max_array_size();
    return sweep::submitted_runs(submissions, slurm.queue());
  } catch (const Error& error) {
    fmt::print("Slurm was not asked: {}\n", error.what());
    return sweep::submitted_runs(submissions, {});
  }
}

/// Refuses runs that cannot start; a file that is not here may be on the nodes, so that is only said.
void check_inputs_of(const sweep::Sweep& sweep, const Choice& choice) {
  const sweep::InputFaults faults = sweep::faults_of_starting(sweep, choice.runs);
  sweep::refuse(sweep, faults.wrong, faults.code());
  sweep::require_ids(sweep, choice.runs, "nothing was submitted");
  for (const std::string& fault : faults.absent) {
    log_warning("{}: submitted all the same, the nodes must have it", fault);
  }
  if (const std::string text = sweep::other_packs_text(sweep); !text.empty()) {
    log_warning("{}", text);
  }
}

ExitCode print_dry_run(const sweep::Sweep& sweep, const sweep::Site& site, const SubmitOptions& options) {
  std::int64_t max_array_size = kDefaultMaxArraySize;
  const auto submitted = ask_if_possible(sweep::read_submissions({sweep.folder}), max_array_size);
  const Choice choice = choose(sweep, options, submitted);
  print_left_alone(sweep, choice);
  check_inputs_of(sweep, choice);
  const auto hash_of = [](const fs::path& program) { return io::digest_hex(io::read_file(program)).substr(0, 12); };
  const std::string hash = hash_of(sweep::find_trainer(options.trainer));
  const std::string sweeper_hash = sweep.stop ? hash_of("/proc/self/exe") : "";
  const auto arrays = split(choice, site, max_array_size);
  for (const sweep::Leg& array : arrays) {
    const auto& runs = array.runs;
    const std::string token(12, '0');  // a real one is drawn when it is submitted
    const bool follows = site.max_at_once > 0 && &array != &arrays.front();
    const bool waits = std::ranges::any_of(runs, [&](const sweep::PlannedRun* run) {
      return !sweep::open_needs(sweep, *run, sweep::to_queue(submitted)).empty();
    });
    fmt::print("\n{} would be submitted{}{}{}, element by element:\n", plural(runs.size(), "run"), rung_text(array),
               follows ? ", to start when the array before has ended" : "",
               waits ? ", to start when the runs that they need have ended" : "");
    for (std::size_t i = 0; i < runs.size(); ++i) {
      fmt::print("{:>6}  {}{}\n", i / static_cast<std::size_t>(site.runs_per_gpu), runs[i]->id,
                 runs[i]->needs.empty() ? "" : fmt::format(", after {}", fmt::join(runs[i]->needs, ", ")));
    }
    fmt::print("\nby this script:\n\n{}",
               script_of(sweep, site, io::read_file(options.form), token, hash, sweeper_hash, runs.size()));
  }
  if (arrays.empty()) {
    fmt::print("nothing to submit\n");
  }
  return ExitCode::success;
}

}  // namespace

ExitCode submit_runs(const SubmitOptions& options) {
  const sweep::Sweep sweep = options.choice.read();
  const sweep::Site site = sweep::read_site(options.site);
  if (options.dry_run) {
    return print_dry_run(sweep, site, options);
  }
  const std::string form = io::read_file(options.form);
  const fs::path trainer = sweep::find_trainer(options.trainer);
  const sweep::SweepFolder folder{sweep.folder};
  sweep::prepare_sweep_folder(folder);
  const FileLock lock = sweep::lock_sweep(folder);
  const sweep::Slurm slurm(kSubmitPatience);
  std::vector<sweep::Submission> submissions = sweep::read_submissions(folder);
  const auto jobs = sweep::find_lost_answers(submissions, slurm);
  sweep::link_finished_runs(sweep);
  const sweep::SubmittedRuns submitted = sweep::submitted_runs(submissions, jobs);
  sweep::Rungs rungs(sweep, sweep::to_queue(submitted));
  for (const sweep::Decision& decision : rungs.decide()) {
    for (const sweep::Decision::Row& row : decision.rows) {
      fmt::print("{} {} {}\n", row.name, row.is_kept ? "goes on" : "is halted", decision.text_of(row));
    }
  }
  const Choice choice = choose(sweep, options, submitted);
  print_left_alone(sweep, choice);
  if (choice.runs.empty()) {
    fmt::print("nothing to submit\n");
    return ExitCode::success;
  }
  check_inputs_of(sweep, choice);
  const fs::path frozen = sweep::freeze_trainer(folder, trainer);
  if (const std::string fault = sweep::fault_of_starting(frozen); !fault.empty()) {
    log_warning("{}: submitted all the same, the nodes must be able to", fault);
  }
  std::string sweeper_hash;
  if (sweep.stop) {
    sweep::freeze_race(sweep);
    sweeper_hash = sweep::freeze_program(folder, fs::read_symlink("/proc/self/exe"), "xtasc-sweep")
                       .parent_path()
                       .filename()
                       .string();
  }
  for (const sweep::PlannedRun* run : choice.runs) {
    sweep::freeze_config(folder, *run);
    std::error_code ignored;
    fs::remove(folder.run(run->id).stop_request(), ignored);  // it was for an earlier start
    fs::remove(folder.end(run->id), ignored);                 // so was this
  }
  const auto arrays = split(choice, site, slurm.max_array_size());
  sweep::JobsOfRuns jobs_of_runs = sweep::active_jobs(submitted);
  const sweep::JobsOfRuns active = jobs_of_runs;
  std::vector<std::pair<std::int64_t, std::string>> submitted_now;
  std::string previous_job;
  std::int64_t sequence = submissions.empty() ? 0 : submissions.back().sequence;
  for (const sweep::Leg& array : arrays) {
    const auto& runs = array.runs;
    const std::string token = sweep::new_token();
    sweep::Submission submission{.token = token,
                                 .folder = folder.submissions() / token,
                                 .sequence = ++sequence,
                                 .created_unix = std::time(nullptr),
                                 .runs_per_element = site.runs_per_gpu};
    for (const sweep::PlannedRun* run : runs) {
      submission.runs.push_back(run->id);
      submission.needs.push_back(run->needs);
    }
    const std::string script =
        script_of(sweep, site, form, token, frozen.parent_path().filename().string(), sweeper_hash, runs.size());
    sweep::write_submission(submission, script);
    // Arrays side by side would have more elements at once than the site allows.
    const std::string before = site.max_at_once > 0 ? previous_job : "";
    const std::vector<std::string> after = array.rung > 0
                                               ? jobs_before_rung(rungs, array.rung, submitted_now, active, before)
                                               : sweep::jobs_before(runs, jobs_of_runs, before);
    sweep::submit(submission, slurm, lock.descriptor(), after);
    sweep::add_jobs(jobs_of_runs, submission);
    submitted_now.emplace_back(array.rung, submission.job);
    fmt::print("submitted {} as job {}{}{}\n", plural(runs.size(), "run"), submission.job, rung_text(array),
               after_text(after));
    previous_job = submission.job;
    std::fflush(stdout);
  }
  return ExitCode::success;
}

void add_site_options(CLI::App& app, SubmitOptions& options) {
  app.add_option("--site", options.site, "All that is local to the cluster (.toml)")->capture_default_str();
  app.add_option("--template", options.form, "The batch script's form")->capture_default_str();
}

Command add_submit(CLI::App& program) {
  CLI::App* app =
      program.add_subcommand("submit", "Hand a sweep's runs to Slurm, all that are not done, failed or under way");
  const auto options = std::make_shared<SubmitOptions>();
  add_sweep_choice(*app, options->choice);
  add_only(*app, options->only);
  app->add_flag("--dry-run", options->dry_run, "Print what would be submitted, and submit nothing");
  app->add_option("--trainer", options->trainer, "The program of a run; default: xtasc-train beside this one");
  add_site_options(*app, *options);
  return {app, [options] { return submit_runs(*options); }};
}

}  // namespace xtasc::sweeps
