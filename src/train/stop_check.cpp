#include "train/stop_check.hpp"

#include <algorithm>
#include <utility>

#include "core/signals.hpp"

namespace xtasc::train {

namespace {

/// The folder may lie on another machine.
constexpr std::chrono::seconds kBetweenLooksForFile{1};
/// A reason above, microseconds a step below: one number, so that one message carries both.
constexpr int kTimeBits = 40;
constexpr std::int64_t kLongestTime = (std::int64_t{1} << kTimeBits) - 1;

}  // namespace

StopCheck::StopCheck(int num_ranks, LargestOfAll largest_of_all, std::filesystem::path stop_request)
    : has_peers_(num_ranks > 1), largest_of_all_(std::move(largest_of_all)), stop_request_(std::move(stop_request)) {}

int StopCheck::own_reason(Clock::time_point now) {
  if (!stop_request_.empty() && now - last_look_for_file_ >= kBetweenLooksForFile) {
    last_look_for_file_ = now;
    if (std::filesystem::exists(stop_request_)) {
      return kStopFile;
    }
  }
  return stop_signal();
}

int StopCheck::reason(Clock::time_point now) {
  if (!has_peers_) {
    return own_reason(now);
  }
  if (steps_left_ > 0) {
    --steps_left_;
    ++num_steps_;
    return 0;
  }
  // Clocks differ between ranks; the slowest one's word holds for all. Before there is a time: look again at once.
  using std::chrono::microseconds;
  const std::int64_t own_time =
      num_steps_ == 0
          ? kLongestTime
          : std::min(std::chrono::duration_cast<microseconds>(now - last_look_).count() / num_steps_, kLongestTime);
  const std::int64_t largest = largest_of_all_((std::int64_t{own_reason(now)} << kTimeBits) + own_time);
  const std::int64_t step_time = std::max<std::int64_t>(largest & kLongestTime, 1);
  steps_left_ = std::clamp<std::int64_t>(microseconds(kLongest).count() / step_time, 1, kMostSteps) - 1;
  num_steps_ = 1;
  last_look_ = now;
  return static_cast<int>(largest >> kTimeBits);
}

}  // namespace xtasc::train
