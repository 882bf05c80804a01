#include "core/watchdog.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
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

TEST(WatchdogTest, BitesOnceAfterSilenceAndNotAtRest) {
  std::atomic<int> num_bites = 0;
  Watchdog watchdog(milliseconds(300), [&] { ++num_bites; });
  watchdog.rest();
  std::this_thread::sleep_for(milliseconds(1000));
  EXPECT_EQ(num_bites, 0);
  watchdog.beat("check", 1);
  std::this_thread::sleep_for(milliseconds(2000));
  EXPECT_EQ(num_bites, 1);
}

TEST(WatchdogTest, EndsTheProcessWhenNothingGetsDone) {
  const auto hang = [] {
    Watchdog watchdog(std::chrono::seconds(1), "rank 3 on n1");
    watchdog.beat("training step", 17);
    std::this_thread::sleep_for(std::chrono::seconds(20));
  };
  EXPECT_EXIT(hang(), ::testing::ExitedWithCode(85),
              "rank 3 on n1: nothing got done for 1 s in training step 17 \\(since .*the same command resumes");
}

TEST(WatchdogTest, APauseOfTheWholeProcessIsNoHang) {
  const pid_t child = fork();
  if (child == 0) {
    Watchdog watchdog(std::chrono::seconds(3), "rank 0 on n1");
    for (int i = 0; i < 72; ++i) {  // a beat every 1.2 s, and some time from the end of the pause to the next
      if (i % 24 == 0) {
        watchdog.beat("training step", i);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    _exit(0);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  kill(child, SIGSTOP);
  std::this_thread::sleep_for(std::chrono::seconds(5));
  kill(child, SIGCONT);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "a suspended job was taken for one that hangs";
}

TEST(WatchdogTest, BeatsAndTheEndKeepItQuiet) {
  Watchdog watchdog(std::chrono::seconds(1), "rank 0 on n1");
  for (int i = 0; i < 15; ++i) {
    watchdog.beat("training step", i);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  const Watchdog off(std::chrono::seconds(0), "rank 0 on n1");
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
}

}  // namespace
}  // namespace xtasc
