#include "sweep/slurm/submission.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "core/error.hpp"
#include "core/json.hpp"
#include "core/log.hpp"
#include "io/atomic_file.hpp"
#include "io/file.hpp"
#include "run/run_folder.hpp"
#include "sweep/slurm/batch_script.hpp"

namespace xtasc::sweep {

namespace fs = std::filesystem;

namespace {

using std::chrono::seconds;

/// An sbatch that was killed may have reached the controller, which may not have got round to it yet.
constexpr seconds kUnderWay{30};
constexpr int kAttempts = 8;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

Submission read_submission(const fs::path& folder) {
  const fs::path path = folder / "submission.json";
  const std::vector<std::string> runs = lines_of(io::read_file(folder / "tasks.txt"));
  try {
    using json_fields::get;
    const auto fields = json_fields::parse(io::read_file(path));
    // A version before wrote down whatever line sbatch began with: the queue knows the job by its token.
    const auto job = job_id_of(get<std::string>(fields, "job"));
    return {.token = get<std::string>(fields, "token"),
            .folder = folder,
            .sequence = get<std::int64_t>(fields, "sequence"),
            .created_unix = get<std::int64_t>(fields, "created_unix"),
            .job = job.value_or(""),
            .refused = get<std::string>(fields, "refused"),
            .runs_per_element = get<std::int64_t>(fields, "runs_per_element"),
            .runs = runs};
  } catch (const Error& error) {
    fail("{} is damaged: {}", path.string(), error.what());
  }
}

void write_record(const Submission& submission) {
  const json_fields::Json record = {{"token", submission.token},
                                    {"sequence", submission.sequence},
                                    {"created_unix", submission.created_unix},
                                    {"job", submission.job},
                                    {"refused", submission.refused},
                                    {"runs_per_element", submission.runs_per_element},
                                    {"num_runs", submission.runs.size()}};
  // What sbatch says is in the encoding of its locale.
  const std::string text = record.dump(2, ' ', false, json_fields::Json::error_handler_t::replace);
  io::write_file_atomically(submission.folder / "submission.json", text + "\n");
}

/// The batch script's word on how a run ended, "1 failed with exit code 1"; leaves the run as it is without one.
void read_end_of_run(const Submission& submission, const std::string& id, SubmittedRun& run) {
  std::string text;
  try {
    text = io::read_file(submission.folder / "ended" / id);
  } catch (const Error&) {
    return;  // nothing was said yet, or what is there is no file
  }
  std::istringstream stream(text);
  int code = 0;
  std::string why;
  if (stream >> code && std::getline(stream >> std::ws, why)) {
    run.code = code;
    run.ended = why;
  }
}

/// What an end in this state counts as: done, failed, or stopped by others and to be resumed.
int code_of(const std::string& state) {
  constexpr std::array<std::string_view, 4> kFailed = {"FAILED", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"};
  if (std::find(kFailed.begin(), kFailed.end(), state) != kFailed.end()) {
    return static_cast<int>(ExitCode::failure);
  }
  return static_cast<int>(state == "COMPLETED" ? ExitCode::success : ExitCode::interrupted);
}

bool holds(const SlurmJob& job, std::int64_t element) {
  return std::any_of(job.elements.begin(), job.elements.end(),
                     [element](const auto& range) { return range.first <= element && element <= range.second; });
}

/// Slurm's record of one element; an active one first, where the script was submitted by hand as well.
const SlurmJob* job_of(const std::vector<SlurmJob>& jobs, const Submission& submission, std::int64_t element) {
  const SlurmJob* found = nullptr;
  for (const SlurmJob& job : jobs) {
    if (job.token == submission.token && holds(job, element) && (found == nullptr || is_active(job.state))) {
      found = &job;
    }
  }
  return found;
}

/// Takes the job id from the queue where it is there. \returns whether the answer is known now
bool find_answer(Submission& submission, const std::vector<SlurmJob>& jobs) {
  for (const SlurmJob& job : jobs) {
    if (job.token == submission.token) {
      submission.job = fmt::format("{}", job.array);
      write_record(submission);
      return true;
    }
  }
  return false;
}

bool lacks_answer(const Submission& submission) {
  return submission.job.empty() && submission.refused.empty();
}

}  // namespace

std::vector<Submission> read_submissions(const SweepFolder& folder) {
  std::vector<Submission> submissions;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder.submissions(), error)) {
    if (fs::exists(entry.path() / "submission.json")) {  // else: killed before sbatch was near
      submissions.push_back(read_submission(entry.path()));
    }
  }
  std::sort(submissions.begin(), submissions.end(),
            [](const Submission& a, const Submission& b) { return a.sequence < b.sequence; });
  return submissions;
}

void write_submission(const Submission& submission, const std::string& script) {
  std::error_code error;
  for (const char* part : {"log", "ended", "starts"}) {
    fs::create_directories(submission.folder / part, error);
    check(!error, "cannot make {}: {}", (submission.folder / part).string(), error.message());
  }
  io::write_file_atomically(submission.folder / "job.sbatch", std::string_view(script));
  io::write_file_atomically(submission.folder / "tasks.txt", fmt::format("{}\n", fmt::join(submission.runs, "\n")));
  std::string needs;
  for (const std::vector<std::string>& of_run : submission.needs) {
    needs += fmt::format("{}\n", fmt::join(of_run, " "));
  }
  io::write_file_atomically(submission.folder / "needs.txt", std::string_view(needs));
  write_record(submission);
}

std::string new_token() {
  std::random_device random;
  return fmt::format("{:06x}{:06x}", random() & 0xFFFFFFU, random() & 0xFFFFFFU);
}

SubmittedRuns submitted_runs(const std::vector<Submission>& submissions, const std::vector<SlurmJob>& jobs) {
  SubmittedRuns runs;
  for (const Submission& submission : submissions) {
    for (std::size_t i = 0; i < submission.runs.size(); ++i) {
      const std::int64_t element = static_cast<std::int64_t>(i) / submission.runs_per_element;
      const SlurmJob* job = job_of(jobs, submission, element);
      SubmittedRun entry{.submission = submission.token};
      if (job != nullptr) {
        entry.job = fmt::format("{}_{}", job->array, element);
        entry.state = job->state;
        entry.reason = job->reason;
        entry.nodes = job->nodes;
        entry.code = code_of(job->state);
      }
      read_end_of_run(submission, submission.runs[i], entry);
      entry.is_active = is_active(entry.state) && entry.ended.empty();
      if (entry.state.empty() && entry.ended.empty()) {
        // Slurm forgot it, or never had it. How an earlier submission ended is past all the same.
        if (const auto known = runs.find(submission.runs[i]); known != runs.end() && !known->second.is_active) {
          runs.erase(known);
        }
        continue;
      }
      SubmittedRun& known = runs[submission.runs[i]];
      const bool runs_now = entry.is_active && !entry.nodes.empty();  // a later one may wait to go on from a rung
      if (!known.is_active || runs_now) {
        known = entry;
      }
    }
  }
  return runs;
}

Queue to_queue(const SubmittedRuns& runs) {
  Queue queue;
  for (const auto& [id, run] : runs) {
    if (!run.is_active) {
      queue[id] = {.kind = QueueState::Kind::ended,
                   .job = run.job,
                   .text = !run.ended.empty()   ? run.ended
                           : run.reason.empty() ? run.state
                                                : fmt::format("{}, {}", run.state, run.reason),
                   .code = run.code};
    } else if (run.nodes.empty()) {
      queue[id] = {.kind = QueueState::Kind::queued, .job = run.job, .text = run.reason};
    } else {
      queue[id] = {.kind = QueueState::Kind::running, .job = run.job, .text = run.nodes};
    }
  }
  return queue;
}

Queue queue_without_answer(const SweepFolder& folder) {
  Queue queue;
  for (const Submission& submission : read_submissions(folder)) {
    for (const std::string& id : submission.runs) {
      SubmittedRun run{.submission = submission.token};
      read_end_of_run(submission, id, run);
      if (run.ended.empty() && !submission.job.empty()) {
        queue[id] = {.kind = QueueState::Kind::queued, .job = submission.job, .text = "Slurm was asked in vain"};
      } else {
        queue.erase(id);
      }
    }
  }
  return queue;
}

Queue ask_queue(const SweepFolder& folder, seconds patience) {
  const std::vector<Submission> submissions = read_submissions(folder);
  return submissions.empty() ? Queue() : to_queue(submitted_runs(submissions, Slurm(patience).queue()));
}

std::vector<SlurmJob> find_lost_answers(std::vector<Submission>& submissions, const Slurm& slurm) {
  const std::int64_t now = std::time(nullptr);
  seconds wait{0};
  for (const Submission& submission : submissions) {
    if (lacks_answer(submission)) {
      wait = std::max(wait, std::clamp(kUnderWay - seconds(now - submission.created_unix), seconds(0), kUnderWay));
    }
  }
  const auto end = std::chrono::steady_clock::now() + wait;
  bool is_announced = false;
  while (true) {
    std::vector<SlurmJob> jobs = slurm.queue();
    bool all_found = true;
    for (Submission& submission : submissions) {
      if (lacks_answer(submission)) {
        if (find_answer(submission, jobs)) {
          log_info("submission {}, whose answer was lost, is job {}", submission.token, submission.job);
        } else {
          all_found = false;
        }
      }
    }
    if (all_found) {
      return jobs;
    }
    if (std::chrono::steady_clock::now() >= end) {
      for (Submission& submission : submissions) {
        if (lacks_answer(submission)) {
          submission.refused = "never arrived";
          write_record(submission);
          log_info("submission {} never arrived at Slurm", submission.token);
        }
      }
      return jobs;
    }
    if (!is_announced) {
      log_info("a submission was cut short; waiting up to {} s for it to show", wait.count());
      is_announced = true;
    }
    std::this_thread::sleep_for(seconds(2));
  }
}

void submit(Submission& submission, const Slurm& slurm, int lock, const std::vector<std::string>& after) {
  const std::string script = (submission.folder / "job.sbatch").string();
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    SubmitAnswer answer;
    try {
      answer = slurm.submit(script, lock, after);
    } catch (const Error& error) {
      submission.refused = error.what();
      write_record(submission);
      throw;
    }
    if (!answer.job.empty()) {
      submission.job = answer.job;
      write_record(submission);
      return;
    }
    // It may have been accepted all the same. Two looks, since the controller may be slow to take it in.
    for (const int pause : {attempt, 5}) {
      std::this_thread::sleep_for(seconds(pause));
      if (find_answer(submission, slurm.queue())) {
        log_info("Slurm had accepted it: job {}", submission.job);
        return;
      }
    }
    check(answer.puzzle.empty(),
          "{}, which is no job's id, and the queue has no job with the comment {}: it is not submitted again now, the "
          "same command looks for it once more (script {})",
          answer.puzzle, job_comment(submission.token), script);
    log_info("Slurm does not have it: submitting again");
  }
  fail("sbatch got no answer in {} attempts; the same command tries again, and finds the job if it was accepted",
       kAttempts);
}

std::int64_t cancel(const SweepFolder& folder, const std::vector<Submission>& submissions,
                    const std::vector<SlurmJob>& jobs, const std::vector<std::string>& runs, const Slurm& slurm) {
  const std::set<std::string> wanted(runs.begin(), runs.end());
  std::set<std::string> cancelled, ended_jobs;
  for (const Submission& submission : submissions) {  // a run may be in several: one for each of its rungs
    const SubmittedRuns submitted = submitted_runs({submission}, jobs);
    std::set<std::string> kept_jobs;
    for (const auto& [id, run] : submitted) {
      if (run.is_active && !wanted.contains(id)) {
        kept_jobs.insert(run.job);
      }
    }
    for (const auto& [id, run] : submitted) {
      if (!run.is_active || !wanted.contains(id)) {
        continue;
      }
      cancelled.insert(id);
      // First the word that keeps the batch script from starting it again, then the deed.
      io::write_file_atomically(submission.folder / "ended" / id, std::string_view("85 cancelled\n"));
      if (kept_jobs.contains(run.job)) {
        const run::RunFolder run_folder = folder.run(id);
        run::prepare_run_folder(run_folder);
        io::write_file_atomically(run_folder.stop_request(), std::string_view("cancelled\n"));
      } else {
        ended_jobs.insert(run.job);
      }
    }
  }
  if (!ended_jobs.empty()) {
    slurm.cancel({ended_jobs.begin(), ended_jobs.end()});
  }
  return std::ssize(cancelled);
}

}  // namespace xtasc::sweep
