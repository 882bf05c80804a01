#include "sweep/local/local.hpp"

#include <time.h>  // NOLINT: nanosleep

#include <algorithm>
#include <chrono>
#include <csignal>

#include "core/host.hpp"
#include "core/log.hpp"
#include "core/process.hpp"
#include "core/progress.hpp"
#include "core/signals.hpp"
#include "sweep/halving/rungs.hpp"
#include "sweep/inputs.hpp"
#include "sweep/local/attempt.hpp"
#include "sweep/local/live_block.hpp"
#include "sweep/local/outcome.hpp"
#include "sweep/local/slots.hpp"
#include "sweep/local/starts.hpp"
#include "sweep/select.hpp"
#include "sweep/slurm/submission.hpp"
#include "sweep/waiting.hpp"

namespace fs = std::filesystem;

namespace xtasc::sweep {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr Seconds kPoll{0.1};
constexpr Seconds kDraw{1.0};
constexpr Seconds kPlainLine{60.0};
constexpr Seconds kRetryClaim{2.0};
constexpr Seconds kAskQueue{30.0};
/// A run that was asked to stop may finish its step and write a checkpoint; one that does not is made to.
constexpr Seconds kStopPatience{300.0};
/// A signal that comes before mpirun has started its ranks is lost, and one too many does no harm.
constexpr Seconds kStopAgain{5.0};

/// Sleeps, but not through a signal.
void sleep_for(Seconds seconds) {
  const timespec time = {.tv_sec = 0, .tv_nsec = static_cast<long>(seconds.count() * 1e9)};
  ::nanosleep(&time, nullptr);
}

/// Runs one sweep's runs on this machine.
class LocalDriver {
 public:
  LocalDriver(const Sweep& sweep, const LocalOptions& options)
      : sweep_(sweep),
        options_(options),
        folder_{sweep.folder},
        selected_(select(sweep, options.only)),
        queue_(options.queue),
        starts_(folder_),
        ranks_{.number = options.ranks.value_or(sweep.ranks.number), .most = sweep.ranks.most} {
    const fs::path trainer = find_trainer(options.trainer);
    refuse_what_cannot_start(sweep, selected_, queue_);
    prepare_sweep_folder(folder_);
    const FileLock lock = lock_sweep(folder_);
    for (const PlannedRun* run : link_finished_runs(sweep)) {
      log_info("{} is done in a sweep beside this one: linked", title_of(*run));
    }
    trainer_ = freeze_trainer(folder_, trainer);
    check_may_be_started(trainer_);
    for (const PlannedRun* run : selected_) {
      freeze_config(folder_, *run);
      waiting_.push_back({run, Clock::time_point{}});
    }
    for (Slot& slot : divide(allowed_cores(), visible_gpus(), options.jobs)) {
      slots_.push_back({.slot = std::move(slot), .is_taken = false});
    }
  }

  ExitCode run() {
    while (!running_.empty() || (!waiting_.empty() && may_start())) {
      collect_ended();
      if (stop_signal() != 0 && !running_.empty()) {
        stop();
      } else {
        start_next();
      }
      show();
      sleep_for(kPoll);
    }
    block_.erase();
    if (stop_signal() != 0 && !stop_time_) {  // it came while no run was under way
      log_info("stopped by {}; the same command goes on", signal_name(stop_signal()));
    }
    return report();
  }

 private:
  struct Waiting {
    const PlannedRun* run;
    Clock::time_point not_before;
    bool is_told = false;  ///< why it waits
  };

  /// Of a run whose process ended; it goes on behind all that wait (from a rung), or first (nobody asked it to end).
  enum class Next { nothing, last, first };

  [[nodiscard]] bool may_start() const {
    return stop_signal() == 0 && (options_.max_failures == 0 || std::ssize(outcome_.failed) < options_.max_failures);
  }

  void start_next() {
    for (Place& place : slots_) {
      if (!place.is_taken) {
        while (may_start() && !place.is_taken && try_next(place)) {
        }
      }
    }
  }

  /// Takes the first run that may be tried now. \returns false when there is none
  bool try_next(Place& place) {
    const auto next = std::ranges::find_if(
        waiting_, [&](const Waiting& w) { return w.not_before <= Clock::now() && !needs_own_run(*w.run); });
    if (next == waiting_.end()) {
      return false;
    }
    const PlannedRun& run = *next->run;
    auto claim = FileLock::try_take(folder_.claim(run.id), this_process());
    const RunStatus status = status_of(folder_, run, queue_, claim ? Claims::ignore : Claims::heed);
    const auto job = queue_.find(run.id);
    const bool is_on_cluster = job != queue_.end() && job->second.kind != QueueState::Kind::ended;
    const Pace pace = sweep_.stop ? Rungs(sweep_, queue_).pace_of(run, status.epoch) : Pace();
    const auto drop = [&] { waiting_.erase(next); };
    if (status.state == State::done) {
      ++outcome_.num_done;
      drop();
    } else if (is_on_cluster) {
      outcome_.left_alone.push_back({&run, status.detail});
      drop();
    } else if (!claim || status.state == State::running) {
      wait_for(*next, fmt::format("{} is running already ({}): waiting for it", title_of(run), status.detail));
    } else if (verdict_on(status.state) == Verdict::has_failed) {
      outcome_.failed_before.push_back({&run, status.detail});
      drop();
    } else if (pace.is_halted) {
      outcome_.halted.push_back({&run, pace.text});
      drop();
    } else if (pace.is_over_at(status.epoch)) {
      if (!may_wait_at(pace.until_epoch, *next)) {
        drop();
      }
    } else if (const auto open = open_needs(sweep_, run, queue_); !open.empty()) {
      if (!may_wait_for(open, *next, "")) {
        drop();
      }
    } else {
      drop();
      link_needed(run);
      start(run, std::move(*claim), place, pace.until_epoch);
    }
    return true;
  }

  void wait_for(Waiting& waiting, const std::string& why) {
    if (!waiting.is_told) {
      say(why);
    }
    waiting.is_told = true;
    waiting.not_before = Clock::now() + std::chrono::duration_cast<Clock::duration>(kRetryClaim);
  }

  /// Whether this driver is still to start, or to end, a run.
  [[nodiscard]] bool is_own(const std::string& id) const {
    const auto is_it = [&id](const auto& entry) { return entry.run->id == id; };
    return std::ranges::any_of(waiting_, is_it) || std::ranges::any_of(running_, is_it);
  }

  [[nodiscard]] bool needs_own_run(const PlannedRun& run) const {
    return std::ranges::any_of(run.needs, [&](const std::string& id) { return is_own(id); });
  }

  /// For a run that came to a rung: decides it, where all others are there. \returns false as may_wait_for
  bool may_wait_at(std::int64_t rung, Waiting& waiting) {
    const std::vector<OpenNeed> open = Rungs(sweep_, queue_).open_at(rung);
    if (open.empty()) {
      const FileLock lock = lock_sweep(folder_);
      for (const Decision& decision : Rungs(sweep_, queue_).decide()) {
        for (const Decision::Row& row : decision.rows) {
          say(fmt::format("{} {} {}", row.name, row.is_kept ? "goes on" : "is halted", decision.text_of(row)));
        }
      }
      return true;
    }
    if (std::ranges::any_of(open, [&](const OpenNeed& need) { return is_own(need.run->id); })) {
      waiting.not_before = Clock::now() + std::chrono::duration_cast<Clock::duration>(kRetryClaim);
      return true;
    }
    return may_wait_for(open, waiting, fmt::format("at epoch {}, ", rung));
  }

  /// Somebody else may have what it needs. \param where  the run is, for people \returns false where nobody has
  bool may_wait_for(const std::vector<OpenNeed>& open, Waiting& waiting, const std::string& where) {
    const auto lost = std::ranges::find_if(
        open, [](const OpenNeed& need) { return verdict_on(need.status.state) != Verdict::is_under_way; });
    if (lost != open.end()) {
      outcome_.left_waiting.push_back(
          {waiting.run, where + left_waiting_text(*lost, std::ranges::find(selected_, lost->run) != selected_.end())});
      return false;
    }
    wait_for(waiting, fmt::format("{} is {}{}", title_of(*waiting.run), where, left_waiting_text(open.front(), true)));
    if (!queue_.empty() && Clock::now() - queue_asked_ > kAskQueue) {
      queue_asked_ = Clock::now();
      try {
        queue_ = ask_queue(folder_, std::chrono::seconds(1));
      } catch (const Error& error) {
        say(fmt::format("{}; what it said before counts until it answers", error.what()));
      }
    }
    return true;
  }

  /// A run that was done meanwhile in a sweep beside this one is read from this one's folder.
  void link_needed(const PlannedRun& run) {
    if (!std::ranges::all_of(run.needs, [&](const std::string& id) { return folder_.run(id).is_done(); })) {
      const FileLock lock = lock_sweep(folder_);
      link_finished_runs(sweep_);
    }
  }

  void start(const PlannedRun& run, FileLock claim, Place& place, std::int64_t until_epoch) {
    starts_.begin(run.id);
    Process process = start_attempt(folder_, run, claim,
                                    {.trainer = trainer_,
                                     .slot = place.slot,
                                     .ranks = ranks_,
                                     .is_alone = slots_.size() == 1,
                                     .until_epoch = until_epoch});
    place.is_taken = true;
    say(fmt::format("{} started", title_of(run)));
    running_.push_back({&run, std::move(claim), std::move(process), &place, Clock::now(), until_epoch});
  }

  void collect_ended() {
    for (auto job = running_.begin(); job != running_.end();) {
      const auto code = job->process.poll();
      if (!code) {
        ++job;
        continue;
      }
      if (const Next next = note_end(*job, *code); next != Next::nothing) {
        waiting_.insert(next == Next::first ? waiting_.begin() : waiting_.end(), {job->run, Clock::time_point{}});
      }
      for (Waiting& waiting : waiting_) {  // at a rung, maybe for this run
        waiting.not_before = {};
      }
      job->place->is_taken = false;
      job = running_.erase(job);
    }
  }

  /// Writes down and says how a run ended.
  Next note_end(const Running& job, int code) {
    constexpr int kInterrupted = static_cast<int>(ExitCode::interrupted);
    const run::RunFolder files = folder_.run(job.run->id);
    const auto write = [&](int as, std::string why = "") {
      write_end(folder_, job.run->id, {.code = as, .by = this_process(), .why = std::move(why)});
    };
    if (code == 0 && is_at_rung(job)) {
      write(kInterrupted);
      told_end(job, "paused");
      return Next::last;
    }
    const bool is_asked = stop_time_ || fs::exists(files.stop_request());
    if (!is_resumable(code) || is_asked || files.is_done()) {
      write(is_asked && is_resumable(code) ? kInterrupted : code);
      told_end(job, "stopped");
      return Next::nothing;
    }
    const std::int64_t fruitless = starts_.end(job.run->id);
    const bool goes_on = fruitless < Starts::kMostFruitless;
    write(goes_on ? code : static_cast<int>(ExitCode::failure),
          goes_on ? "" : fmt::format("given up after {} starts that got it no further", fruitless));
    told_end(job, fmt::format("ended with exit code {}", code), goes_on ? "; it is started again" : "");
    return goes_on ? Next::first : Next::nothing;
  }

  [[nodiscard]] bool is_at_rung(const Running& job) const {
    const RunStatus status = status_of(folder_, *job.run, {}, Claims::ignore);
    return job.until_epoch > 0 && !folder_.run(job.run->id).is_done() && status.epoch >= job.until_epoch;
  }

  /// \param interrupted, then  what became of it where it goes on later
  void told_end(const Running& job, const std::string& interrupted, const std::string& then = "") {
    const RunStatus status = status_of(folder_, *job.run, {}, Claims::ignore);
    const std::string time = duration_text(Seconds(Clock::now() - job.start).count());
    switch (status.state) {
      case State::done:
        ++outcome_.num_done;
        say(fmt::format("{} done after {}, {} of {} done", title_of(*job.run), time, outcome_.num_done,
                        selected_.size()));
        break;
      case State::interrupted:
      case State::running:  // a rank outlives its launcher for a moment
        say(fmt::format("{} {} after {}, at epoch {} of {}{}{}{}", title_of(*job.run), interrupted, time, status.epoch,
                        status.epochs, status.detail.empty() ? "" : ": ", status.detail, then));
        break;
      default:
        outcome_.failed.push_back({job.run, status.detail});
        say(fmt::format("{} {} after {}: {}", title_of(*job.run), name(status.state), time, status.detail));
        if (!may_start() && !waiting_.empty() && stop_signal() == 0) {
          say(fmt::format("{} failed, the limit of --max-failures: no further run is started", outcome_.failed.size()));
        }
    }
  }

  void stop() {
    const Clock::time_point now = Clock::now();
    if (!stop_time_) {
      stop_time_ = now;
      say(fmt::format("{}: stopping {} run{} after a checkpoint; the same command goes on", signal_name(stop_signal()),
                      running_.size(), running_.size() == 1 ? "" : "s"));
    }
    if (now - *stop_time_ > kStopPatience) {
      for (Running& job : running_) {
        job.process.kill_group();
      }
    } else if (now - last_stop_ >= kStopAgain) {
      last_stop_ = now;
      for (Running& job : running_) {
        job.process.signal(SIGUSR2);  // mpirun passes it on to the ranks; SIGTERM it would answer by killing them
      }
    }
  }

  void show() {
    const Clock::time_point now = Clock::now();
    if (now - last_shown_ < (block_.is_on_terminal() ? kDraw : kPlainLine)) {
      return;
    }
    const bool is_first_plain = last_shown_ == Clock::time_point{} && !block_.is_on_terminal();
    last_shown_ = now;
    if (is_first_plain) {
      return;
    }
    std::vector<std::string> lines;
    for (const Running& job : running_) {
      const std::string line = last_line(folder_.log(job.run->id));
      lines.push_back(fmt::format("{}: {}", title_of(*job.run), line.starts_with(kAttemptMark) ? "starting" : line));
    }
    lines.push_back(fmt::format("{}: {} of {} done, {} running, {} waiting{}", sweep_.name, outcome_.num_done,
                                selected_.size(), running_.size(), waiting_.size(), outcome_.failed_text()));
    if (block_.is_on_terminal()) {
      block_.draw(lines);
    } else {
      for (const std::string& line : lines) {
        log_line(line);
      }
    }
  }

  ExitCode report() {
    outcome_.tell(sweep_, selected_.size());
    if (stop_signal() != 0) {
      return ExitCode::interrupted;
    }
    return outcome_.num_done + outcome_.halted.size() == selected_.size() ? ExitCode::success : ExitCode::failure;
  }

  void say(const std::string& text) {
    block_.erase();
    log_line(text);
  }

  const Sweep& sweep_;
  const LocalOptions& options_;
  SweepFolder folder_;
  std::vector<const PlannedRun*> selected_;
  Queue queue_;
  Starts starts_;
  Clock::time_point queue_asked_ = Clock::now();
  RanksWish ranks_;
  fs::path trainer_;
  std::vector<Place> slots_;
  std::vector<Waiting> waiting_;
  std::vector<Running> running_;
  Outcome outcome_;
  std::optional<Clock::time_point> stop_time_;
  Clock::time_point last_stop_{};
  LiveBlock block_;
  Clock::time_point last_shown_{};
};

}  // namespace

ExitCode run_here(const Sweep& sweep, const LocalOptions& options) {
  return LocalDriver(sweep, options).run();
}

}  // namespace xtasc::sweep
