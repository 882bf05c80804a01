#include "sweep/slurm/submission.hpp"

#include <gmock/gmock.h>

#include "core/error.hpp"
#include "sweep/ledger_fixture.hpp"

namespace xtasc::sweep {

namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(Ledger, ReadsBackInTheOrderOfSubmission) {
  static_cast<void>(submission({"a", "b", "c"}, 2));
  static_cast<void>(submission({"d"}, 1));
  const auto read = read_submissions(folder_);
  ASSERT_EQ(read.size(), 2U);
  EXPECT_THAT(read[0].runs, ElementsAre("d"));
  EXPECT_THAT(read[1].runs, ElementsAre("a", "b", "c"));
  EXPECT_EQ(read[1].runs_per_element, 2);
}

TEST_F(Ledger, RunsByElement) {
  const auto made = submission({"a", "b", "c"});
  const auto runs = submitted_runs({made}, {job("abc1", 17, 0, "RUNNING"), job("abc1", 17, 1, "FAILED")});
  EXPECT_TRUE(runs.at("a").is_active);
  EXPECT_TRUE(runs.at("b").is_active);
  EXPECT_EQ(runs.at("b").job, "17_0");
  EXPECT_FALSE(runs.at("c").is_active);
  EXPECT_EQ(runs.at("c").state, "FAILED");
}

TEST_F(Ledger, ARunThatTheScriptEndedIsNotActive) {
  const auto made = submission({"a", "b"});
  std::ofstream(made.folder / "ended/a") << "1 failed with exit code 1\n";
  const auto runs = submitted_runs({made}, {job("abc1", 17, 0, "RUNNING")});
  EXPECT_FALSE(runs.at("a").is_active);
  EXPECT_EQ(runs.at("a").ended, "failed with exit code 1");
  EXPECT_EQ(runs.at("a").code, 1);
  EXPECT_TRUE(runs.at("b").is_active);
}

TEST_F(Ledger, WhatStatusSeesOfIt) {
  const auto made = submission({"a", "b", "c", "d", "e", "f"});
  std::ofstream(made.folder / "ended/a") << "85 cancelled\n";
  auto waiting = job("abc1", 17, 2, "PENDING");
  waiting.reason = "Priority";
  auto running = job("abc1", 17, 1, "RUNNING");
  running.nodes = "n1";
  const Queue queue = to_queue(submitted_runs({made}, {job("abc1", 17, 0, "CANCELLED"), running, waiting}));
  EXPECT_EQ(queue.at("a").kind, QueueState::Kind::ended);
  EXPECT_EQ(queue.at("a").text, "cancelled");
  EXPECT_EQ(queue.at("a").code, 85);
  EXPECT_EQ(queue.at("b").text, "CANCELLED");
  EXPECT_EQ(queue.at("b").code, 85);
  EXPECT_EQ(queue.at("c").kind, QueueState::Kind::running);
  EXPECT_EQ(queue.at("d").text, "n1");
  EXPECT_EQ(queue.at("e").kind, QueueState::Kind::queued);
  EXPECT_EQ(queue.at("f").text, "Priority");
}

TEST_F(Ledger, WhyAJobNeverStartedIsTold) {
  const auto made = submission({"a", "b"});
  auto failed = job("abc1", 17, 0, "FAILED");
  failed.reason = "JobLaunchFailure";
  EXPECT_EQ(to_queue(submitted_runs({made}, {failed})).at("a").text, "FAILED, JobLaunchFailure");
}

TEST_F(Ledger, WhereSlurmIsSilentWhatWasAcceptedAndHasNotEndedIsQueued) {
  auto made = submission({"a", "b"});
  EXPECT_THAT(queue_without_answer(folder_), IsEmpty()) << "no job yet";
  made.job = "17";
  write_submission(made, "");
  std::ofstream(made.folder / "ended/a") << "0 done\n";
  const Queue queue = queue_without_answer(folder_);
  EXPECT_FALSE(queue.contains("a"));
  EXPECT_EQ(queue.at("b").kind, QueueState::Kind::queued);
  EXPECT_EQ(queue.at("b").job, "17");
}

TEST_F(Ledger, AnArrayMayWaitForOthers) {
  program("sbatch", "echo \"$@\" >" + (root_ / "words").string() + "\necho 18");
  Submission made = submission({"a"});
  submit(made, Slurm(seconds(5)), -1, {"17", "16_3"});
  EXPECT_EQ(made.job, "18");
  EXPECT_THAT(io::read_file(root_ / "words"), HasSubstr("--parsable --dependency=afterany:17:16_3 /"));
}

TEST_F(Ledger, AnActiveElementCountsMoreThanALaterEndedOne) {
  const auto first = submission({"a"}, 1);
  const auto second = submission({"a"}, 2);
  const auto runs = submitted_runs({first, second}, {job("abc1", 17, 0, "PENDING"), job("abc2", 18, 0, "FAILED")});
  EXPECT_EQ(runs.at("a").job, "17_0");
}

TEST_F(Ledger, AnEarlierEndIsPastOnceARunWasSubmittedAgain) {
  const auto first = submission({"a", "b"}, 1);
  std::ofstream(first.folder / "ended/a") << "1 failed with exit code 1\n";
  EXPECT_EQ(submitted_runs({first}, {}).at("a").code, 1);
  const auto second = submission({"a"}, 2);
  EXPECT_THAT(submitted_runs({first, second}, {}), IsEmpty()) << "Slurm knows nothing of the second submission";
}

TEST_F(Ledger, SomethingElseUnderAJobIdThatIsUsedAgainIsNotOurs) {
  const auto made = submission({"a"});
  EXPECT_THAT(submitted_runs({made}, {job("fff", 17, 0, "RUNNING")}), IsEmpty());
}

TEST_F(Ledger, ALostAnswerIsFoundAndNotSubmittedTwice) {
  // sbatch hands the job over and then fails as if the answer had been lost; the queue knows the job from then on.
  program("sbatch", "echo x >>" + (root_ / "calls").string() +
                        "\necho 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' "
                        ">&2\nexit 1");
  program("squeue", "if [ -e " + (root_ / "calls").string() +
                        R"( ]; then echo '{"jobs": [{"job_id": 41, "array_job_id": 41, "array_task_string": "0-1", )"
                        R"("comment": "xtasc:abc1", "job_state": "PENDING"}]}'; else echo '{"jobs": []}'; fi)");
  Submission made = submission({"a", "b", "c"});
  submit(made, Slurm(seconds(20)), -1);
  EXPECT_EQ(made.job, "41");
  EXPECT_EQ(io::read_file(root_ / "calls"), "x\n");
  EXPECT_EQ(read_submissions(folder_).front().job, "41");
}

TEST_F(Ledger, AnIntentThatNeverArrivedIsMarkedAndOneThatDidIsFound) {
  static_cast<void>(submission({"a"}, 1));
  static_cast<void>(submission({"b"}, 2));
  queue_has(R"({"job_id": 9, "comment": "xtasc:abc2", "job_state": "RUNNING"})");
  auto submissions = read_submissions(folder_);
  static_cast<void>(find_lost_answers(submissions, Slurm(seconds(20))));
  EXPECT_EQ(submissions[0].refused, "never arrived");
  EXPECT_EQ(submissions[1].job, "9");
}

TEST_F(Ledger, ARefusalIsAnErrorWithSlurmsReason) {
  program("sbatch", "echo 'sbatch: error: Batch job submission failed: Invalid partition name specified' >&2\nexit 1");
  Submission made = submission({"a"});
  try {
    submit(made, Slurm(seconds(5)), -1);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("Invalid partition name"));
  }
  EXPECT_THAT(read_submissions(folder_).front().refused, HasSubstr("Invalid partition name"));
}

TEST_F(Ledger, AControllerThatComesBackIsWaitedFor) {
  const std::string asked = (root_ / "asked").string();
  const std::string no_controller = std::string(XTASC_SOURCE_DIR) + "/tests/golden/squeue_22.05_no_controller.json";
  for (const std::string& silence :
       {std::string("echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1"),
        fmt::format("cat '{}'", no_controller)}) {
    program("squeue",
            fmt::format("if [ -e {0} ]; then echo '{{\"jobs\": []}}'; else touch {0}; {1}; fi", asked, silence));
    EXPECT_THAT(Slurm(seconds(20)).queue(), IsEmpty());
    fs::remove(asked);
    EXPECT_THROW(static_cast<void>(Slurm(seconds(0)).queue()), Error);
    fs::remove(asked);
  }
}

/// A run of a sweep with rungs is in several arrays at once.
TEST_F(Ledger, ARunThatRunsAndIsToGoOnLaterIsRunningAndIsCancelledInAll) {
  program("scancel", "echo \"$@\" >>" + (root_ / "cancelled").string());
  const auto first = submission({"a", "b"}, 1);
  const auto later = submission({"a", "b"}, 2);
  auto running = job("abc1", 17, 0, "RUNNING");
  running.nodes = "n1";
  const std::vector<SlurmJob> jobs = {running, job("abc2", 18, 0, "PENDING")};
  EXPECT_EQ(submitted_runs({first, later}, jobs).at("a").job, "17_0");
  std::ofstream(first.folder / "ended/a") << "85 paused at a rung of [stop]\n";
  EXPECT_EQ(submitted_runs({first, later}, jobs).at("a").job, "18_0");
  EXPECT_EQ(cancel(folder_, {first, later}, jobs, {"a", "b"}, Slurm(seconds(5))), 2);
  EXPECT_EQ(io::read_file(root_ / "cancelled"), "--quiet 17_0 18_0\n");
  EXPECT_EQ(io::read_file(later.folder / "ended/a"), "85 cancelled\n");
  EXPECT_EQ(io::read_file(first.folder / "ended/a"), "85 paused at a rung of [stop]\n");
}

TEST_F(Ledger, CancelEndsWholeElementsAndStopsPartsOfOne) {
  program("scancel", "echo \"$@\" >>" + (root_ / "cancelled").string());
  const auto made = submission({"a", "b", "c"});
  const std::vector<SlurmJob> jobs = {job("abc1", 17, 0, "RUNNING"), job("abc1", 17, 1, "PENDING")};
  EXPECT_EQ(cancel(folder_, {made}, jobs, {"a", "c"}, Slurm(seconds(5))), 2);
  EXPECT_EQ(io::read_file(root_ / "cancelled"), "--quiet 17_1\n");
  EXPECT_TRUE(fs::exists(root_ / "a" / "STOP"));
  EXPECT_FALSE(fs::exists(root_ / "b" / "STOP"));
  EXPECT_EQ(io::read_file(made.folder / "ended/a"), "85 cancelled\n");
  EXPECT_EQ(io::read_file(made.folder / "ended/c"), "85 cancelled\n");
}

}  // namespace

}  // namespace xtasc::sweep
