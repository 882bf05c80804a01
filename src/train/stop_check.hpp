#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>

namespace xtasc::train {

/// Whether a run shall stop: a signal to any rank, or the file STOP. All ranks stop before the same step, so they must
/// ask each other; that costs up to a tenth of a millisecond between hosts, and is not done before every step of a fast
/// run, but as often as a tenth of a second or ten steps pass, whichever is less. One for each epoch: its first look
/// is before the first step.
class StopCheck {
 public:
  using Clock = std::chrono::steady_clock;
  /// The largest of all ranks' values. Collective.
  using LargestOfAll = std::function<std::int64_t(std::int64_t)>;

  static constexpr std::int64_t kMostSteps = 10;
  static constexpr std::chrono::milliseconds kLongest{100};

  /// \param num_ranks  one rank asks nobody: it looks before every step
  /// \param stop_request  the file STOP, looked for once a second; empty: on this rank it is not
  StopCheck(int num_ranks, LargestOfAll largest_of_all, std::filesystem::path stop_request);

  /// To be called before each step. \returns the signal, kStopFile, or 0: no reason. The same on all ranks. Collective
  /// before the steps that look, which are the same on all ranks.
  int reason(Clock::time_point now = Clock::now());

 private:
  int own_reason(Clock::time_point now);

  bool has_peers_;
  LargestOfAll largest_of_all_;
  std::filesystem::path stop_request_;
  std::int64_t steps_left_ = 0;  ///< until the next look
  std::int64_t num_steps_ = 0;   ///< since the last look; 0: there was none
  Clock::time_point last_look_, last_look_for_file_{};
};

}  // namespace xtasc::train
