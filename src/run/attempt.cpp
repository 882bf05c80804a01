#include "run/attempt.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "core/error.hpp"
#include "core/host.hpp"
#include "core/json.hpp"
#include "core/log.hpp"
#include "core/utc_time.hpp"
#include "io/atomic_file.hpp"

namespace xtasc::run {

namespace {

std::string environment_text(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

std::string slurm_job() {
  const std::string array = environment_text("SLURM_ARRAY_JOB_ID");
  return array.empty() ? environment_text("SLURM_JOB_ID")
                       : fmt::format("{}_{}", array, environment_text("SLURM_ARRAY_TASK_ID"));
}

Attempt attempt_of_this_process(std::int64_t number) {
  return {.number = number, .host = this_host(), .pid = getpid(), .job = slurm_job(), .started = utc_now()};
}

void write_attempt(const RunFolder& run, const Attempt& attempt) {
  const json_fields::Json json = {{"attempt", attempt.number},
                                  {"host", attempt.host},
                                  {"pid", attempt.pid},
                                  {"job", attempt.job},
                                  {"started", attempt.started}};
  // What the environment holds need not be UTF-8.
  const std::string text = json.dump(2, ' ', false, json_fields::Json::error_handler_t::replace);
  io::write_file_atomically(run.attempt(), text + "\n");
}

/// "by attempt 2 (...)", or as much as is known.
std::string holder_text(const RunFolder& run) {
  try {
    const auto attempt = read_attempt(run);
    return attempt ? attempt->text() : "a process that has just started";
  } catch (const Error&) {  // the holder's name is for the message only
    return "another process";
  }
}

/// The last attempt, or none where its file is damaged: it counts starts, and the run can do without.
std::optional<Attempt> last_attempt_or_none(const RunFolder& run) {
  try {
    return read_attempt(run);
  } catch (const Error& error) {
    log_warning("{} (it is {} now)", error.what(), set_aside(run.attempt()).filename().string());
    return std::nullopt;
  }
}

}  // namespace

std::string Attempt::text() const {
  return fmt::format("attempt {} ({}, process {}{}{}, since {})", number, host, pid, job.empty() ? "" : ", job ", job,
                     started);
}

std::optional<Attempt> read_attempt(const RunFolder& run) {
  if (!std::filesystem::exists(run.attempt())) {
    return std::nullopt;
  }
  try {
    using json_fields::get;
    const auto json = json_fields::parse(io::read_file(run.attempt()));
    return Attempt{.number = get<std::int64_t>(json, "attempt"),
                   .host = get<std::string>(json, "host"),
                   .pid = get<std::int64_t>(json, "pid"),
                   .job = get<std::string>(json, "job"),
                   .started = get<std::string>(json, "started")};
  } catch (const Error& error) {
    fail("{} is damaged ({}): the run counts its starts anew", run.attempt().string(), error.what());
  }
}

RunClaim::RunClaim(const RunFolder& run, bool take_over) : run_(run) {
  constexpr double kSeconds = 1.0;  // who only looked at the lock holds it for a moment, and is gone by then
  LockAttempt attempt = FileLock::attempt(run.lock(), {}, kSeconds);
  if (!attempt.fault.empty()) {
    log_warning("{}: that nobody else trains this run is not certain", attempt.fault);
  } else if (!attempt.lock) {
    check(take_over, "{} is being trained by {}: wait for it or stop it, two at once would spoil the run",
          run_.root.string(), holder_text(run_));
    log_warning("taking {} over from {}", run_.root.string(), holder_text(run_));
  }
  lock_ = std::move(attempt.lock);
  const auto previous = last_attempt_or_none(run_);
  attempt_ = attempt_of_this_process(previous ? previous->number + 1 : 1);
  write_attempt(run_, attempt_);
}

void RunClaim::check_still_ours() const {
  const auto now = read_attempt(run_);
  check(now.has_value(), "the run folder {} is gone, or its files are: somebody removed or renamed it during the run",
        run_.root.string());
  check(now->number == attempt_.number && now->host == attempt_.host && now->pid == attempt_.pid,
        "{} took {} over; this one ({}) stops and writes nothing", now->text(), run_.root.string(), attempt_.number);
}

}  // namespace xtasc::run
