#include "run/attempt.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "core/error.hpp"
#include "core/file_lock.hpp"
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
  EXPECT_FALSE(is_locked(run_.lock()));
  for (const int number : {1, 2, 3}) {
    const RunClaim claim(run_, /*take_over=*/false);
    EXPECT_EQ(claim.attempt().number, number);
    EXPECT_EQ(read_attempt(run_)->pid, getpid());
    EXPECT_TRUE(is_locked(run_.lock()));
    claim.check_still_ours();
  }
  EXPECT_FALSE(is_locked(run_.lock()));
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

TEST_F(AttemptTest, ARunFolderThatWasRemovedIsNotTakenForATakeOver) {
  const RunClaim claim(run_, false);
  fs::remove_all(run_.root);
  try {
    claim.check_still_ours();
    FAIL() << "writes into a folder that is gone";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the run folder " + run_.root.string() + " is gone"));
    EXPECT_THAT(error.what(), testing::Not(HasSubstr("took")));
  }
}

TEST_F(AttemptTest, ADamagedFileIsSetAside) {
  io::write_file_atomically(run_.attempt(), std::string_view("{"));
  EXPECT_THROW(static_cast<void>(read_attempt(run_)), Error);
  const RunClaim claim(run_, false);
  EXPECT_EQ(claim.attempt().number, 1);
  EXPECT_EQ(io::read_file(run_.attempt().string() + ".damaged"), "{");
}

}  // namespace

}  // namespace xtasc::run
