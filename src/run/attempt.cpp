#include "run/attempt.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <time.h>  // NOLINT: nanosleep
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/log.hpp"
#include "io/atomic_file.hpp"
#include "run/provenance.hpp"

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

Attempt this_process(std::int64_t number) {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  return {.number = number, .host = host.data(), .pid = getpid(), .job = slurm_job(), .started = utc_now()};
}

void write_attempt(const RunFolder& run, const Attempt& attempt) {
  const nlohmann::ordered_json json = {{"attempt", attempt.number},
                                       {"host", attempt.host},
                                       {"pid", attempt.pid},
                                       {"job", attempt.job},
                                       {"started", attempt.started}};
  io::write_file_atomically(run.attempt(), json.dump(2) + "\n");
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

/// is_locked() holds the lock for a moment too: who only looked is gone at the next attempt.
bool lock_within_a_second(int fd) {
  for (int attempt = 0; attempt < 20; ++attempt) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) {
      return true;
    }
    if (errno != EWOULDBLOCK) {
      return false;
    }
    const timespec pause = {.tv_sec = 0, .tv_nsec = 50'000'000};
    ::nanosleep(&pause, nullptr);
  }
  errno = EWOULDBLOCK;
  return false;
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
    const auto json = nlohmann::json::parse(io::read_file(run.attempt()));
    return Attempt{.number = json.at("attempt").get<std::int64_t>(),
                   .host = json.at("host").get<std::string>(),
                   .pid = json.at("pid").get<std::int64_t>(),
                   .job = json.at("job").get<std::string>(),
                   .started = json.at("started").get<std::string>()};
  } catch (const nlohmann::json::exception& error) {
    fail("{} is damaged ({}): the run counts its starts anew", run.attempt().string(),
         error.id == 101 ? "not JSON" : "a field is missing or of another type");
  }
}

bool is_locked(const RunFolder& run) {
  const int fd = ::open(run.lock().c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  const bool is_held = ::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return is_held;
}

RunClaim::RunClaim(const RunFolder& run, bool take_over)
    : run_(run), lock_(::open(run.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  check(lock_ >= 0, "cannot open {}: {}", run_.lock().string(), errno_text(errno));
  try {
    if (!lock_within_a_second(lock_)) {
      if (errno == EWOULDBLOCK) {
        check(take_over, "{} is being trained by {}: wait for it or stop it, two at once would spoil the run",
              run_.root.string(), holder_text(run_));
        log_warning("taking {} over from {}", run_.root.string(), holder_text(run_));
      } else {
        log_warning("cannot lock {} ({}): that nobody else trains this run is not certain", run_.lock().string(),
                    errno_text(errno));
      }
    }
    const auto previous = last_attempt_or_none(run_);
    attempt_ = this_process(previous ? previous->number + 1 : 1);
    write_attempt(run_, attempt_);
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

RunClaim::~RunClaim() {
  ::close(lock_);
}

void RunClaim::check_still_ours() const {
  const auto now = read_attempt(run_);
  check(now && now->number == attempt_.number && now->host == attempt_.host && now->pid == attempt_.pid,
        "{} took {} over; this one ({}) stops and writes nothing", now ? now->text() : std::string("somebody"),
        run_.root.string(), attempt_.number);
}

}  // namespace xtasc::run
