#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sweep/folder.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

enum class State {
  waiting,      ///< never started, or needs runs that are not done
  queued,       ///< submitted, not started
  running,      ///< somewhere, now
  interrupted,  ///< stopped, killed or ended by its watchdog; goes on from its checkpoint
  paused,       ///< came to a rung of [stop], and waits for its decision
  halted,       ///< by [stop]: left where it is until it is let go on
  incomplete,   ///< ended with exit code 0 but without DONE
  failed,       ///< ended with an error
  done,
};

[[nodiscard]] std::string_view name(State state);

/// What a cluster's queue says of a run.
struct QueueState {
  enum class Kind { queued, running, ended };
  Kind kind = Kind::queued;
  std::string job;   ///< "123_4"
  std::string text;  ///< why it waits, where it runs, how it ended; may be empty
  int code = 0;      ///< of a run that ended: its exit code
};
/// By run id; runs that the queue does not know are absent.
using Queue = std::map<std::string, QueueState>;

/// How the last attempt at a run ended: end.json in its folder, {"code": 1}. Written by whoever started the trainer, a
/// driver or a batch script. Before the next attempt a batch script removes it; a driver writes down that the run was
/// interrupted, which is so unless the driver lives to tell another end.
struct End {
  int code = 0;          ///< the launcher's exit code; 128 + signal where a signal ended it
  std::string by;        ///< who started it, for people; may be absent
  std::string why = {};  ///< what the log does not say, as that it was given up; may be absent
};

/// What became of a run.
struct RunStatus {
  State state = State::waiting;
  std::int64_t epoch = 0;  ///< epochs completed
  std::int64_t epochs = 0;
  std::string detail;  ///< where it runs, why it waits, its last error line; "in OTHER" for a run that is done in the
                       ///< folder of a sweep beside this one, "as ID" in that of a version before; may be empty
  std::filesystem::path folder;  ///< of the run's files: in the sweep's, or beside it
};

/// Whether a held claim means that the run is under way, or that whoever asks holds it.
enum class Claims { heed, ignore };

/// From the run's folder, the claims of drivers on this machine, and the queue. What the queue says of a run that ended
/// counts only where the folder has no end.json.
[[nodiscard]] RunStatus status_of(const SweepFolder& folder, const PlannedRun& run, const Queue& queue = {},
                                  Claims claims = Claims::heed);
/// Of all runs, in the sweep's order, as status_in (sweep/waiting.hpp).
[[nodiscard]] std::vector<RunStatus> statuses(const Sweep& sweep, const Queue& queue = {});

/// Whether a run that ended with this exit code is to go on from its checkpoint: it was stopped, ended by its watchdog
/// (85), or by a signal (above 128, as when a rank was killed). The batch script has the same rule.
[[nodiscard]] bool is_resumable(int code);

void write_end(const SweepFolder& folder, const std::string& id, const End& end);
/// nullopt when there is none. A broken file counts as a failure.
[[nodiscard]] std::optional<End> read_end(const SweepFolder& folder, const std::string& id);

/// The line of the last attempt in a log that says why it failed: the last error of one of our programs, else the last
/// with ": error: ", else the last one.
[[nodiscard]] std::string last_error_line(const std::filesystem::path& log);
/// The last line of a log, without the time of day in front.
[[nodiscard]] std::string last_line(const std::filesystem::path& log);

/// What a new attempt's part of log.txt begins with; the rest of the line is for people.
inline constexpr std::string_view kAttemptMark = "---- ";

}  // namespace xtasc::sweep
