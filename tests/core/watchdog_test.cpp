#include "core/watchdog.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace xtasc {
namespace {

using std::chrono::milliseconds;

TEST(LookoutTest, LooksUntilItIsToldOrDies) {
  std::atomic<int> num_looks = 0;
  {
    const Lookout patient(milliseconds(5), [&] { return ++num_looks < 3; });
    std::this_thread::sleep_for(milliseconds(200));
    EXPECT_EQ(num_looks, 3);
  }
  const auto start = std::chrono::steady_clock::now();
  {
    const Lookout slow(std::chrono::hours(1), [] { return true; });
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(SilenceTest, EndsWithEveryChangeOfTheCount) {
  Silence silence(milliseconds(1000));
  silence.look(1);
  std::this_thread::sleep_for(milliseconds(30));
  EXPECT_GE(silence.look(1), milliseconds(30));
  EXPECT_EQ(silence.look(2), milliseconds(0));
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_GE(silence.look(2), milliseconds(20));
  silence.begin();
  EXPECT_LT(silence.look(2), milliseconds(20));
}

TEST(SilenceTest, TimeInWhichNobodyLookedCountsAsAMoment) {
  Silence silence(milliseconds(10));
  silence.look(1);
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_LE(silence.look(1), milliseconds(20));
  EXPECT_GE(silence.since_last_look(), milliseconds(200));
}

TEST(WatchdogTest, BitesOnceAfterSilenceAndNotAtRest) {
  std::atomic<int> num_bites = 0;
  Watchdog watchdog(milliseconds(300), [&] { ++num_bites; });
  watchdog.rest();
  std::this_thread::sleep_for(milliseconds(1000));
  EXPECT_EQ(num_bites, 0);
  watchdog.beat();
  std::this_thread::sleep_for(milliseconds(2000));
  EXPECT_EQ(num_bites, 1);
}

TEST(WatchdogTest, BeatsAndNoLimitKeepItQuiet) {
  std::atomic<int> num_bites = 0;
  Watchdog watchdog(milliseconds(1000), [&] { ++num_bites; });
  const Watchdog off(milliseconds(0), [&] { ++num_bites; });
  for (int i = 0; i < 15; ++i) {
    watchdog.beat();
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_EQ(num_bites, 0);
}

}  // namespace
}  // namespace xtasc
