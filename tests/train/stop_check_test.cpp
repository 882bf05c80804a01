#include "train/stop_check.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <barrier>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "core/signals.hpp"

namespace xtasc::train {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr int kSteps = 50;

struct Looks {
  std::vector<int> steps;  ///< before which the rank asked its peer
  int stopped_at = -1;
  int reason = 0;
};

/// Two ranks whose steps take different times by their own clocks. Hangs, unless both ask equally often.
std::array<Looks, 2> two_ranks(std::array<milliseconds, 2> step_time, const fs::path& stop_request = {}) {
  std::array<std::int64_t, 2> values{};
  std::barrier meeting(2);
  std::array<Looks, 2> looks;
  const auto run = [&](std::size_t rank) {
    int step = 0;
    const auto largest = [&](std::int64_t value) {
      looks[rank].steps.push_back(step);
      values[rank] = value;
      meeting.arrive_and_wait();
      const std::int64_t found = std::max(values[0], values[1]);
      meeting.arrive_and_wait();
      return found;
    };
    StopCheck check(2, largest, rank == 0 ? stop_request : fs::path());
    StopCheck::Clock::time_point now = StopCheck::Clock::now();
    for (; step < kSteps; ++step, now += step_time[rank]) {
      if (const int reason = check.reason(now); reason != 0) {
        looks[rank].stopped_at = step;
        looks[rank].reason = reason;
        return;
      }
    }
  };
  std::thread other(run, 1);
  run(0);
  other.join();
  return looks;
}

TEST(StopCheck, FastStepsAreLookedAtEveryTenth) {
  const auto [first, second] = two_ranks({5ms, 4ms});
  EXPECT_EQ(first.steps, (std::vector<int>{0, 1, 11, 21, 31, 41}));
  EXPECT_EQ(second.steps, first.steps);
}

TEST(StopCheck, SlowerOnesAsOftenAsATenthOfASecondPassesOnTheSlowestRank) {
  const auto [first, second] = two_ranks({1ms, 20ms});
  EXPECT_EQ(first.steps, (std::vector<int>{0, 1, 6, 11, 16, 21, 26, 31, 36, 41, 46}));
  EXPECT_EQ(second.steps, first.steps);
}

TEST(StopCheck, SlowOnesEachTime) {
  const auto [first, second] = two_ranks({60s, 59s});
  EXPECT_EQ(first.steps.size(), static_cast<std::size_t>(kSteps));
  EXPECT_EQ(second.steps, first.steps);
}

TEST(StopCheck, TheFileIsSeenByOneRankAndStopsBoth) {
  const fs::path file = fs::path(testing::TempDir()) / "stop_check_STOP";
  std::ofstream(file) << "";
  const auto [first, second] = two_ranks({5ms, 5ms}, file);
  fs::remove(file);
  for (const Looks& rank : {first, second}) {
    EXPECT_EQ(rank.stopped_at, 0);
    EXPECT_EQ(rank.reason, kStopFile);
  }
}

TEST(StopCheck, OneRankAsksNobodyAndLooksBeforeEveryStep) {
  const fs::path file = fs::path(testing::TempDir()) / "stop_check_alone_STOP";
  fs::remove(file);
  StopCheck check(
      1, [](std::int64_t) -> std::int64_t { throw std::logic_error("asked"); }, file);
  StopCheck::Clock::time_point now = StopCheck::Clock::now();
  for (int step = 0; step < 30; ++step, now += 1ms) {
    EXPECT_EQ(check.reason(now), 0);
  }
  std::ofstream(file) << "";
  EXPECT_EQ(check.reason(now), 0) << "the file is looked for once a second";
  EXPECT_EQ(check.reason(now + 1s), kStopFile);
  fs::remove(file);
}

}  // namespace
}  // namespace xtasc::train
