#include "run/attempt.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <thread>

#include "core/error.hpp"
#include "core/watchdog.hpp"
#include "io/atomic_file.hpp"

namespace xtasc::run {

namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class AttemptTest : public ::testing::Test {
 protected:
  AttemptTest() : run_{fs::temp_directory_path() / ("xtasc-attempt-" + std::to_string(getpid()))} {
    fs::remove_all(run_.root);
    fs::create_directories(run_.root);
  }
  ~AttemptTest() override { fs::remove_all(run_.root); }
  AttemptTest(const AttemptTest&) = delete;
  AttemptTest& operator=(const AttemptTest&) = delete;

  RunFolder run_;
};

TEST_F(AttemptTest, EachStartRaisesTheNumber) {
  EXPECT_FALSE(read_attempt(run_));
  EXPECT_FALSE(is_locked(run_));
  for (const int number : {1, 2, 3}) {
    const RunClaim claim(run_, /*take_over=*/false);
    EXPECT_EQ(claim.attempt().number, number);
    EXPECT_EQ(read_attempt(run_)->pid, getpid());
    EXPECT_TRUE(is_locked(run_));
    claim.check_still_ours();
  }
  EXPECT_FALSE(is_locked(run_));
}

TEST_F(AttemptTest, ASecondTrainerIsRefusedAndToldWhoHoldsTheRun) {
  const RunClaim first(run_, false);
  try {
    const RunClaim second(run_, false);
    FAIL() << "two at once";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("is being trained by attempt 1 ("));
    EXPECT_THAT(error.what(), HasSubstr("process " + std::to_string(getpid())));
  }
  first.check_still_ours();
}

TEST_F(AttemptTest, WhoWasTakenOverWritesNoMore) {
  const RunClaim first(run_, false);
  const RunClaim second(run_, /*take_over=*/true);
  second.check_still_ours();
  try {
    first.check_still_ours();
    FAIL() << "the first still writes";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("attempt 2 ("));
    EXPECT_THAT(error.what(), HasSubstr("this one (1) stops and writes nothing"));
  }
}

TEST_F(AttemptTest, ADamagedFileIsSetAside) {
  io::write_file_atomically(run_.attempt(), std::string_view("{"));
  EXPECT_THROW(static_cast<void>(read_attempt(run_)), Error);
  const RunClaim claim(run_, false);
  EXPECT_EQ(claim.attempt().number, 1);
  EXPECT_EQ(io::read_file(run_.attempt().string() + ".damaged"), "{");
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

}  // namespace xtasc::run
