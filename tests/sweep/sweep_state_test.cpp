// What became of a sweep's runs, and what a driver does about each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "core/file_lock.hpp"
#include "core/host.hpp"
#include "core/process.hpp"
#include "sweep/local/attempt.hpp"
#include "sweep/local/starts.hpp"
#include "sweep/select.hpp"
#include "sweep/sweep_fixture.hpp"

namespace xtasc::sweep {
namespace {

using testing::ElementsAre;

TEST_F(SweepRuns, StatesFollowTheFolder) {
  const PlannedRun& run = sweep_.runs[0];
  EXPECT_EQ(status(run).state, State::waiting);
  write_run(run, 2, false);
  EXPECT_EQ(status(run).state, State::interrupted);
  EXPECT_EQ(status(run).epoch, 2);
  EXPECT_EQ(status(run).epochs, 4);

  write_end(files_, run.id, {.code = 85, .by = "me"});
  EXPECT_EQ(status(run).state, State::interrupted);
  write_end(files_, run.id, {.code = 0, .by = "me"});
  EXPECT_EQ(status(run).state, State::incomplete);
  EXPECT_EQ(status(run).detail, "ended with exit code 0, but wrote no DONE");
  write_end(files_, run.id, {.code = 137, .by = "me"});
  EXPECT_EQ(status(run).state, State::interrupted) << "a rank was killed: it goes on";
  EXPECT_EQ(status(run).detail, "ended by signal 9");
  write_end(files_, run.id, {.code = 127, .by = "me"});
  EXPECT_EQ(status(run).state, State::failed);
  EXPECT_EQ(status(run).detail, "exit code 127");
  write_end(files_, run.id, {.code = static_cast<int>(ExitCode::out_of_memory), .by = "me"});
  EXPECT_EQ(status(run).state, State::failed) << "which is not started again";
  write_end(files_, run.id, {.code = 127, .by = "me"});
  std::ofstream(files_.log(run.id)) << "---- first attempt\nxtasc-train: error: an old one\n"
                                    << "---- second attempt\n12:00:00 epoch 1/4\rxtasc-train: error: the disk is full\n"
                                    << "  a detail\nMPI_ABORT was invoked\n";
  EXPECT_EQ(status(run).detail, "xtasc-train: error: the disk is full");

  write_run(run, 0, true);
  EXPECT_EQ(status(run).state, State::failed);
  EXPECT_EQ(status(run).detail, "DONE, but it ended with exit code 127");
  write_end(files_, run.id, {.code = 0, .by = "me"});
  EXPECT_EQ(status(run).state, State::done);
  EXPECT_EQ(status(run).detail, "");
  write_end(files_, run.id, {.code = 85, .by = "me"});
  EXPECT_EQ(status(run).state, State::done) << "its driver was killed before it saw the end";
}

TEST_F(SweepRuns, ADamagedMetricsFileIsNamed) {
  const PlannedRun& run = sweep_.runs[0];
  write_run(run, 2, false);
  std::ofstream(files_.run(run.id).metrics(), std::ios::app) << "{\"epoch\": 3\n{}\n";
  EXPECT_EQ(status(run).state, State::interrupted);
  EXPECT_THAT(status(run).detail, testing::HasSubstr("metrics.jsonl:3: "));
  write_run(run, 0, true);
  EXPECT_EQ(status(run).state, State::done);
  EXPECT_EQ(status(run).epoch, 0) << "unknown";
  EXPECT_THAT(status(run).detail, testing::HasSubstr("metrics.jsonl:3: "));
}

TEST_F(SweepRuns, ARunThatWasGivenUpSaysWhy) {
  const PlannedRun& run = sweep_.runs[0];
  write_run(run, 1, false);
  std::ofstream(files_.end(run.id)) << R"({"code": 1, "by": "job 7_0", "why": "given up after 3 starts"})";
  EXPECT_EQ(status(run).state, State::failed);
  EXPECT_EQ(status(run).detail, "given up after 3 starts");
  std::ofstream(files_.log(run.id)) << "xtasc-train: error: out of memory\n";
  EXPECT_EQ(status(run).detail, "given up after 3 starts: xtasc-train: error: out of memory");
  write_end(files_, run.id, {.code = 1, .by = "me", .why = "caf\xe9 is full"});  // as another program's log has it
  EXPECT_EQ(status(run).detail, "caf\ufffd is full: xtasc-train: error: out of memory");
}

TEST_F(SweepRuns, TheErrorOfOurProgramComesBeforeTheLaunchersNoise) {
  const PlannedRun& run = sweep_.runs[0];
  write_run(run, 1, false);
  write_end(files_, run.id, {.code = 1, .by = "job 7_0"});
  const auto detail_of = [&](const std::string& log) {
    std::ofstream(files_.log(run.id)) << log;
    return status(run).detail;
  };
  EXPECT_EQ(detail_of("xtasc-train: error: rank 1 on n2: cannot write 'last': No space left on device\n"
                      "srun: error: n2: task 1: Exited with exit code 1\n"
                      "srun: error: n1: task 0: Killed\nslurmstepd: error: *** STEP 7.0 CANCELLED ***\n"),
            "xtasc-train: error: rank 1 on n2: cannot write 'last': No space left on device");
  EXPECT_EQ(detail_of("1: xtasc-train: error: by srun --label\n0: srun: error: n1\n"),
            "1: xtasc-train: error: by srun --label");
  EXPECT_EQ(detail_of("epoch 1\nsrun: error: Unable to create step for job 7\nafterwards\n"),
            "srun: error: Unable to create step for job 7");
  // Each start on a cluster begins as one of a driver here does.
  EXPECT_EQ(detail_of("xtasc-train: error: of the start before\n---- now on n1: job 7_0, restart 1\nsrun: error: n1\n"),
            "srun: error: n1");
}

TEST_F(SweepRuns, AnInterruptedRunSaysWhyWhereNobodyAskedForIt) {
  const PlannedRun& run = sweep_.runs[0];
  write_run(run, 1, false);
  write_end(files_, run.id, {.code = 85, .by = "me"});
  std::ofstream(files_.log(run.id)) << "---- start\n12:00:00 stopped by SIGUSR2\n";
  EXPECT_EQ(status(run).detail, "") << "it was asked to";
  std::ofstream(files_.log(run.id))
      << "---- start\nxtasc: error: rank 0 on n1: nothing got done for 12 s\nmpirun: bye\n";
  EXPECT_EQ(status(run).detail, "xtasc: error: rank 0 on n1: nothing got done for 12 s");
  EXPECT_EQ(status(run).state, State::interrupted);
}

TEST_F(SweepRuns, ARunsLockAndNotAProcessNumberSaysThatItLives) {
  const PlannedRun& run = sweep_.runs[0];
  write_run(run, 1, false);
  // The number that its last trainer had is another trainer's by now.
  const Process other({.command = {"sh", "-c", "sleep 60; :", "xtasc-train"}, .log = folder_.path() / "other.txt"});
  const auto write_attempt = [&](pid_t process) {
    std::ofstream(files_.run(run.id).attempt()) << fmt::format(
        R"({{"attempt": 1, "host": "{}", "pid": {}, "job": "", "started": "now"}})", this_host(), process);
  };
  write_attempt(other.id());
  EXPECT_EQ(status(run).state, State::interrupted);
  {
    const auto lock = FileLock::try_take(files_.run(run.id).lock(), "");
    EXPECT_EQ(status(run).state, State::running);
    EXPECT_EQ(status(run).detail, fmt::format("{}, process {}", this_host(), other.id()));
    std::ofstream(files_.run(run.id).attempt()) << "{";
    EXPECT_EQ(status(run).state, State::running) << "whoever it is";
  }
  EXPECT_EQ(status(run).state, State::interrupted);
}

TEST_F(SweepRuns, NamedPipesInItsFolderBlockNobody) {
  const PlannedRun& run = sweep_.runs[0];
  write_run(run, 1, false);
  write_end(files_, run.id, {.code = 1, .by = "me"});
  const run::RunFolder folder = files_.run(run.id);
  fs::create_directories(folder.checkpoints() / "last");
  fs::remove(folder.metrics());
  for (const fs::path& path :
       {files_.log(run.id), folder.lock(), folder.metrics(), folder.checkpoints() / "last/step"}) {
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0) << path;
  }
  EXPECT_EQ(status(run).state, State::failed);
  EXPECT_EQ(status(run).detail, "exit code 1");
  EXPECT_EQ(status(run).epoch, 0);
  EXPECT_EQ(last_line(files_.log(run.id)), "");
  Starts starts(files_);
  starts.begin(run.id);
  EXPECT_EQ(starts.end(run.id), 1) << "no checkpoint, so it got no further";
  const auto claim = FileLock::try_take(files_.claim(run.id), "");
  ASSERT_TRUE(claim);
  try {
    const AttemptOptions options{.trainer = "xtasc-train", .slot = {.cores = {0}, .gpus = {}}, .ranks = {.number = 1}};
    static_cast<void>(start_attempt(files_, run, *claim, options));
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("log.txt': it is a named pipe, a file is expected"));
  }
}

TEST_F(SweepRuns, StatesFollowTheQueueAndClaims) {
  const PlannedRun& run = sweep_.runs[0];
  const auto with = [&](QueueState::Kind kind, const char* text, int code = 0) {
    return status(run, {{run.id, {.kind = kind, .job = "12_3", .text = text, .code = code}}});
  };
  EXPECT_EQ(with(QueueState::Kind::queued, "Priority").state, State::queued);
  EXPECT_EQ(with(QueueState::Kind::queued, "Priority").detail, "job 12_3, Priority");
  EXPECT_EQ(with(QueueState::Kind::running, "n1").state, State::running);
  EXPECT_EQ(with(QueueState::Kind::ended, "NODE_FAIL", 1).state, State::failed);
  EXPECT_EQ(with(QueueState::Kind::ended, "NODE_FAIL", 1).detail, "NODE_FAIL");
  EXPECT_EQ(with(QueueState::Kind::ended, "stopped", 85).state, State::interrupted);
  {
    const auto claim = FileLock::try_take(files_.claim(run.id), "host, process 5");
    EXPECT_EQ(status(run).state, State::running);
    EXPECT_EQ(status(run).detail, "host, process 5");
    EXPECT_EQ(status_of(files_, run, {}, Claims::ignore).state, State::waiting);
  }
  EXPECT_EQ(status(run).state, State::waiting);
}

TEST(Verdicts, AFailureIsLeftAloneAsWhatIsUnderWayOrDone) {
  EXPECT_EQ(verdict_on(State::waiting), Verdict::start);
  EXPECT_EQ(verdict_on(State::interrupted), Verdict::start);
  EXPECT_EQ(verdict_on(State::queued), Verdict::is_under_way);
  EXPECT_EQ(verdict_on(State::running), Verdict::is_under_way);
  EXPECT_EQ(verdict_on(State::failed), Verdict::has_failed);
  EXPECT_EQ(verdict_on(State::incomplete), Verdict::has_failed);
  EXPECT_EQ(verdict_on(State::done), Verdict::is_done);
}

TEST_F(SweepRuns, TheWayOutOfAFailureIsNamed) {
  Sweep sweep = sweep_;
  sweep.file = "sweeps/table_I.toml";
  EXPECT_EQ(left_alone_text(sweep, 1),
            "1 failed run is left alone: `xtasc-sweep retry sweeps/table_I.toml --failed` lets it start again, "
            "`xtasc-sweep logs sweeps/table_I.toml RUN` shows what a run said");
  sweep.file = "my sweeps/it's.toml";
  sweep.overrides = {"train.epochs=3", "model.ttnet_widths=[8, 8, 8]"};
  EXPECT_THAT(left_alone_text(sweep, 2),
              testing::StartsWith("2 failed runs are left alone: `xtasc-sweep retry 'my sweeps/it'\\''s.toml' --set "
                                  "train.epochs=3 --set 'model.ttnet_widths=[8, 8, 8]' --failed` lets them start"));
}

TEST_F(SweepRuns, FailuresAreClearedOnlyWhereThereAreAny) {
  write_run(sweep_.runs[0], 1, false);
  write_end(files_, sweep_.runs[0].id, {.code = 1, .by = {}});
  write_end(files_, sweep_.runs[1].id, {.code = 85, .by = {}});
  const Queue queue = {{sweep_.runs[2].id, {.kind = QueueState::Kind::ended, .job = "1_2", .text = "bad", .code = 1}}};
  EXPECT_EQ(clear_failures(sweep_, {"Base MT-Net"}, {}), 0);
  EXPECT_EQ(clear_failures(sweep_, {}, queue), 2);
  EXPECT_EQ(status(sweep_.runs[0]).state, State::interrupted);
  EXPECT_EQ(status(sweep_.runs[1]).state, State::interrupted);
  EXPECT_EQ(status(sweep_.runs[2], queue).state, State::interrupted);
  EXPECT_EQ(clear_failures(sweep_, {}, queue), 0);
  // DONE, but with an error after it: whoever clears that takes the run as it is.
  write_run(sweep_.runs[3], 4, true);
  write_end(files_, sweep_.runs[3].id, {.code = 1, .by = {}});
  EXPECT_EQ(clear_failures(sweep_, {}, queue), 1);
  EXPECT_EQ(status(sweep_.runs[3]).state, State::done);
}

TEST_F(SweepRuns, AFinishedRunOfAnotherSweepIsDoneAndLinked) {
  fs::copy_file(folder_.path() / "trial.toml", folder_.path() / "other.toml");
  write_run(sweep_.runs[0], 4, true);
  write_run(sweep_.runs[1], 2, false);
  const Sweep other = read_sweep(folder_.path() / "other.toml");
  const auto check_status = [&] {
    const RunStatus done = status_of({other.folder}, other.runs[0]);
    EXPECT_EQ(done.state, State::done);
    EXPECT_EQ(done.detail, "in trial");
    EXPECT_EQ(done.epoch, 4);
    EXPECT_TRUE(fs::equivalent(done.folder, files_.run(other.runs[0].id).root));
    EXPECT_EQ(status_of({other.folder}, other.runs[1]).state, State::waiting);
  };
  check_status();
  EXPECT_FALSE(fs::exists(other.folder)) << "who looks changes nothing";
  // Nothing elsewhere counts for a run that is under way here.
  const Queue queue = {{other.runs[0].id, {.kind = QueueState::Kind::running, .job = "1_0", .text = "n1"}}};
  EXPECT_EQ(status_of({other.folder}, other.runs[0], queue).state, State::running);
  prepare_sweep_folder({other.folder});
  EXPECT_THAT(link_finished_runs(other), ElementsAre(&other.runs[0]));
  check_status();
  EXPECT_TRUE(link_finished_runs(other).empty());
  EXPECT_TRUE(link_finished_runs(sweep_).empty());
}

}  // namespace
}  // namespace xtasc::sweep
