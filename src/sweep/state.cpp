#include "sweep/state.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "core/error.hpp"
#include "core/file_lock.hpp"
#include "core/json.hpp"
#include "io/atomic_file.hpp"
#include "io/file.hpp"
#include "run/attempt.hpp"
#include "run/metrics_log.hpp"
#include "run/provenance.hpp"
#include "run/run_id.hpp"
#include "sweep/halving/rungs.hpp"
#include "sweep/waiting.hpp"

namespace fs = std::filesystem;

namespace xtasc::sweep {

namespace {

constexpr std::string_view kError = ": error: ";

/// The end of a file: enough for the last messages of a run; empty where there is no file that can be read.
std::string tail(const fs::path& path) {
  constexpr off_t kMaxBytes = off_t{64} * 1024;
  try {
    const io::Descriptor file = io::open_file(path);
    const off_t size = ::lseek(file.get(), 0, SEEK_END);
    std::string text(static_cast<std::size_t>(std::clamp<off_t>(size, 0, kMaxBytes)), '\0');
    const ssize_t count = ::pread(file.get(), text.data(), text.size(), std::max<off_t>(0, size - kMaxBytes));
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    return text;
  } catch (const Error&) {
    return {};
  }
}

/// Lines that say something; a carriage return (a progress line's) begins a new one.
std::vector<std::string> telling_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find_first_of("\r\n", begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (line.find_first_not_of(" \t") != std::string::npos) {
      lines.push_back(std::move(line));
    }
    begin = end + 1;
  }
  return lines;
}

std::string without_time_of_day(const std::string& line) {
  const bool has_time = line.size() > 9 && line[2] == ':' && line[5] == ':' && line[8] == ' ' &&
                        std::isdigit(static_cast<unsigned char>(line[0])) != 0;
  return has_time ? line.substr(9) : line;
}

/// What metrics.jsonl says of a run.
struct Progress {
  std::int64_t epoch = 0;
  bool has_ended_early = false;  ///< by train.patience
  std::string fault = {};        ///< why the file cannot be read: nothing above is known then; else empty
};

Progress progress_in(const fs::path& metrics) {
  std::error_code ignored;
  if (!fs::is_regular_file(metrics, ignored)) {
    return {};
  }
  try {
    const auto records = run::read_metrics(metrics);
    return records.empty() ? Progress{} : Progress{records.back().epoch, records.back().is_end_of_patience};
  } catch (const Error& error) {
    return {.fault = error.what()};
  }
}

bool was_started(const run::RunFolder& run) {
  std::error_code ignored;
  return fs::exists(run.metrics(), ignored) || fs::exists(run.checkpoints(), ignored) ||
         fs::exists(run.config(), ignored) || fs::exists(run.root / "attempt.json", ignored);
}

/// Rank 0 of a run that is trained by whomever. Its lock says that it lives (a process's number may be another's by
/// now), attempt.json who it is.
std::optional<std::string> living_trainer(const run::RunFolder& run) {
  if (!is_locked(run.lock())) {
    return std::nullopt;
  }
  try {
    const auto attempt = run::read_attempt(run);
    return attempt ? fmt::format("{}, process {}", attempt->host, attempt->pid) : "";
  } catch (const Error&) {
    return "";  // of another version: says nothing
  }
}

/// The error of one of our programs, whose name is the word in front: not srun's and mpirun's noise about it.
bool is_own_error(const std::string& line) {
  const auto error = line.find(kError);
  return error != std::string::npos && line.compare(line.rfind(' ', error) + 1, 5, "xtasc") == 0;
}

/// The lines of the last attempt in a log.
std::vector<std::string> lines_of_last_attempt(const fs::path& log) {
  std::string text = fmt::format("\n{}", tail(log));
  if (const auto attempt = text.rfind(fmt::format("\n{}", kAttemptMark)); attempt != std::string::npos) {
    text.erase(0, std::min(text.find('\n', attempt + 1), text.size()));
  }
  return telling_lines(text);
}

/// Why a run that is to be resumed was interrupted; empty: it was asked to stop, or nothing is known.
std::string why_interrupted(const End& end, const fs::path& log) {
  if (!end.why.empty()) {
    return end.why;
  }
  const std::vector<std::string> lines = lines_of_last_attempt(log);
  const auto error = std::find_if(lines.rbegin(), lines.rend(), is_own_error);
  return error != lines.rend()                                 ? *error
         : end.code == static_cast<int>(ExitCode::interrupted) ? ""
                                                               : fmt::format("ended by signal {}", end.code - 128);
}

/// The sweep beside this one in whose folder a run is; empty where it is in its own.
std::string name_of_other(const SweepFolder& folder, const fs::path& run) {
  std::error_code ignored;
  const fs::path sweep = (fs::is_symlink(run, ignored) ? fs::weakly_canonical(run, ignored) : run).parent_path();
  return fs::equivalent(sweep, folder.root, ignored) ? "" : sweep.filename().string();
}

/// Why a folder that holds DONE is not that of the run after all: renamed, copied or edited by somebody; empty: it is.
std::string not_this_run(const run::RunFolder& files, const PlannedRun& run) {
  try {
    std::error_code ignored;
    if (fs::exists(files.config(), ignored)) {
      static_cast<void>(run::read_config_of(files));
    }
    const std::string digest =
        fs::exists(files.provenance(), ignored) ? run::read_provenance(files.provenance()).pack_digest : "";
    const std::string& wanted = run.config.data.pack_digest;
    if (!digest.empty() && !wanted.empty() && digest != wanted) {
      return fmt::format("trained on a pack of digest {}, not {}: somebody renamed or copied {}", digest, wanted,
                         files.root.string());
    }
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

std::string job_text(const QueueState& job) {
  return job.text.empty() ? fmt::format("job {}", job.job) : fmt::format("job {}, {}", job.job, job.text);
}

}  // namespace

std::string_view name(State state) {
  switch (state) {
    case State::waiting:
      return "waiting";
    case State::queued:
      return "queued";
    case State::running:
      return "running";
    case State::interrupted:
      return "interrupted";
    case State::paused:
      return "paused";
    case State::halted:
      return "halted";
    case State::incomplete:
      return "incomplete";
    case State::failed:
      return "failed";
    case State::done:
      return "done";
  }
  return "";
}

RunStatus status_of(const SweepFolder& folder, const PlannedRun& run, const Queue& queue, Claims claims) {
  const run::RunFolder files = folder.run(run.id);
  Progress progress = progress_in(files.metrics());
  RunStatus status{.state = State::waiting,
                   .epoch = progress.epoch,
                   .epochs = run.config.train.epochs,
                   .detail = {},
                   .folder = files.root};
  const auto is = [&status](State state, std::string detail) {
    status.state = state;
    status.detail = std::move(detail);
    return status;
  };
  if (!run.has_id()) {
    return is(State::waiting, fmt::format("{} is not known here", run.lacks));
  }
  const auto job = queue.find(run.id);
  const bool has_job = job != queue.end();
  std::optional<End> end = read_end(folder, run.id);
  std::string ended_text;
  const bool is_done = files.is_done();
  const auto done = [&] {
    if (const std::string fault = not_this_run({status.folder}, run); !fault.empty()) {
      return is(State::failed, fmt::format("DONE, but {}; move it away to train this run", fault));
    }
    std::vector<std::string> details;
    if (const std::string other = name_of_other(folder, status.folder); !other.empty()) {
      details.push_back("in " + other);
    }
    if (run.config.train.patience > 0 && progress.has_ended_early) {
      details.emplace_back("ended by train.patience");
    }
    if (!progress.fault.empty()) {
      details.push_back(progress.fault);
    }
    return is(State::done, fmt::format("{}", fmt::join(details, ", ")));
  };
  // Code 85: the driver did not live to see the end, or a failure was cleared.
  if (is_done && (!end || end->code == 0 || end->code == static_cast<int>(ExitCode::interrupted))) {
    return done();
  }
  if (claims == Claims::heed) {
    if (const auto holder = lock_holder(folder.claim(run.id))) {
      return is(State::running, *holder);
    }
  }
  if (has_job && job->second.kind == QueueState::Kind::running) {
    return is(State::running, job_text(job->second));
  }
  if (has_job && job->second.kind == QueueState::Kind::queued) {
    return is(State::queued, job_text(job->second));
  }
  if (const auto trainer = living_trainer(files)) {
    return is(State::running, *trainer);
  }
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(files.root, ignored))) {
    if (const auto other = finished_in(siblings_of(folder), run.id)) {
      status.folder = other->root;
      progress = progress_in(other->metrics());
      status.epoch = progress.epoch;
      return done();
    }
    if (!run.done_before.empty()) {
      status.folder = run.done_before;
      status.epoch = progress_in(run::RunFolder{run.done_before}.metrics()).epoch;
      return is(State::done, fmt::format("as {}", run.done_before.filename().string()));
    }
  }
  if (has_job && !end && job->second.kind == QueueState::Kind::ended) {
    end = End{.code = job->second.code, .by = job->second.job};
    ended_text = job->second.text;
  }
  if (!end) {
    return was_started(files) ? is(State::interrupted, progress.fault) : status;
  }
  if (is_done) {
    return is(State::failed, fmt::format("DONE, but it ended with exit code {}", end->code));
  }
  if (is_resumable(end->code)) {
    return is(State::interrupted, ended_text.empty() ? why_interrupted(*end, folder.log(run.id)) : ended_text);
  }
  if (end->code == 0) {
    return is(State::incomplete, "ended with exit code 0, but wrote no DONE");
  }
  std::string line = last_error_line(folder.log(run.id));
  if (!end->why.empty()) {
    line = line.empty() ? end->why : fmt::format("{}: {}", end->why, line);
  }
  return is(State::failed, !line.empty()         ? line
                           : !ended_text.empty() ? ended_text
                                                 : fmt::format("exit code {}", end->code));
}

std::vector<RunStatus> statuses(const Sweep& sweep, const Queue& queue) {
  std::vector<RunStatus> all;
  const Rungs rungs(sweep, queue);
  for (const PlannedRun& run : sweep.runs) {
    all.push_back(status_in(sweep, run, queue, rungs));
  }
  return all;
}

bool is_resumable(int code) {
  constexpr int kSignals = 128;  // a shell and mpirun add it to a signal's number
  return code == static_cast<int>(ExitCode::interrupted) || code > kSignals;
}

void write_end(const SweepFolder& folder, const std::string& id, const End& end) {
  std::error_code error;
  fs::create_directories(folder.run(id).root, error);  // the write says what is wrong with it
  json_fields::Json json = {{"code", end.code}, {"by", end.by}};
  if (!end.why.empty()) {
    json["why"] = end.why;
  }
  // A line of a log is in whatever encoding the program had that wrote it.
  const std::string text = json.dump(-1, ' ', false, json_fields::Json::error_handler_t::replace);
  io::write_file_atomically(folder.end(id), text + "\n");
}

std::optional<End> read_end(const SweepFolder& folder, const std::string& id) {
  const fs::path path = folder.end(id);
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) {
    return std::nullopt;
  }
  try {
    const auto json = json_fields::parse(io::read_file(path));
    const auto text = [&json](const char* key) {
      return json.contains(key) ? json_fields::get<std::string>(json, key) : std::string();
    };
    return End{.code = json_fields::get<int>(json, "code"), .by = text("by"), .why = text("why")};
  } catch (const Error&) {
    return End{.code = 1, .by = {}};
  }
}

std::string last_error_line(const fs::path& log) {
  const std::vector<std::string> lines = lines_of_last_attempt(log);
  auto error = std::find_if(lines.rbegin(), lines.rend(), is_own_error);
  if (error == lines.rend()) {
    error = std::find_if(lines.rbegin(), lines.rend(),
                         [](const std::string& line) { return line.find(kError) != std::string::npos; });
  }
  return error != lines.rend() ? *error : lines.empty() ? "" : lines.back();
}

std::string last_line(const fs::path& log) {
  const auto lines = telling_lines(tail(log));
  return lines.empty() ? "" : without_time_of_day(lines.back());
}

}  // namespace xtasc::sweep
