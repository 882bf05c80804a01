// What is handed to Slurm where runs need other runs, and what the batch script makes of it.
#include "sweep/slurm/waves.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <sstream>

#include "core/command.hpp"
#include "io/atomic_file.hpp"
#include "sweep/needs_fixture.hpp"
#include "sweep/select.hpp"
#include "sweep/slurm/batch_script.hpp"
#include "sweep/waiting.hpp"

namespace xtasc::sweep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

class Waved : public NeedsTest {
 protected:
  void SetUp() override {
    NeedsTest::SetUp();
    sweep_ = read(std::string(kStudent) + kTeachers);
    student_ = &sweep_.runs[0];
    seg_ = &sweep_.runs[2];
    depth_ = &sweep_.runs[4];
  }

  [[nodiscard]] SubmittedRuns with_job(const PlannedRun& run, const std::string& job, bool is_active = true) const {
    return {{run.id, {.submission = "abc", .job = job, .state = "PENDING", .is_active = is_active}}};
  }

  Sweep sweep_;
  const PlannedRun* student_ = nullptr;
  const PlannedRun* seg_ = nullptr;
  const PlannedRun* depth_ = nullptr;
};

TEST_F(Waved, StudentsComeAfterTheirTeachers) {
  const Waves all = waves_of(sweep_, select(sweep_, {}), {});
  ASSERT_THAT(all.waves, SizeIs(2));
  EXPECT_THAT(all.waves[0], ElementsAre(seg_, &sweep_.runs[3], depth_, &sweep_.runs[5]));
  EXPECT_THAT(all.waves[1], ElementsAre(student_, &sweep_.runs[1]));
  EXPECT_THAT(all.left_waiting, IsEmpty());
  finish(sweep_, *seg_);
  finish(sweep_, *depth_);
  const Waves ready = waves_of(sweep_, {student_}, {});
  EXPECT_THAT(ready.waves, ElementsAre(ElementsAre(student_)));
}

TEST_F(Waved, AStudentWhoseTeachersNobodyTrainsIsLeft) {
  finish(sweep_, *seg_);
  EXPECT_THAT(waves_of(sweep_, {student_}, {}).left_waiting,
              ElementsAre(Pair(student_, "waiting for " + depth_->id + ", which is not selected and not done")));
  write_end({sweep_.folder}, depth_->id, {.code = 1, .by = "me"});
  const Waves failed = waves_of(sweep_, {student_}, {});
  EXPECT_THAT(failed.waves, IsEmpty());
  EXPECT_THAT(failed.left_waiting, ElementsAre(Pair(student_, "waiting for " + depth_->id + ", which failed")));
  const Waves queued = waves_of(sweep_, {student_}, with_job(*depth_, "17_3"));
  EXPECT_THAT(queued.waves, ElementsAre(ElementsAre(student_)));
  const FileLock claim = [&] {
    prepare_sweep_folder({sweep_.folder});
    return FileLock::take(SweepFolder{sweep_.folder}.claim(depth_->id), "host, process 5", 1.0);
  }();
  EXPECT_THAT(waves_of(sweep_, {student_}, {}).left_waiting,
              ElementsAre(Pair(student_, "waiting for " + depth_->id + ", which is running (host, process 5)")))
      << "Slurm has no job to wait for";
}

TEST_F(Waved, AnArrayWaitsForTheElementsOfItsTeachers) {
  JobsOfRuns jobs = active_jobs(with_job(*depth_, "17_3"));
  EXPECT_THAT(active_jobs(with_job(*depth_, "17_3", false)), IsEmpty());
  add_jobs(jobs, {.job = "18", .runs_per_element = 2, .runs = {"a", "b", seg_->id, sweep_.runs[3].id}});
  EXPECT_THAT(jobs_before({student_}, jobs, ""), ElementsAre("18_1", "17_3"));
  EXPECT_THAT(jobs_before({student_, &sweep_.runs[1]}, jobs, ""), ElementsAre("18_1", "17_3")) << "each once";
  EXPECT_THAT(jobs_before({student_}, jobs, "18"), ElementsAre("18", "17_3")) << "all of 18 is waited for already";
  EXPECT_THAT(jobs_before({seg_}, jobs, ""), IsEmpty());
}

/// The batch script itself, with programs that stand in for Slurm's.
class ScriptOfNeeds : public Waved {
 protected:
  void SetUp() override {
    Waved::SetUp();
    prepare_sweep_folder({sweep_.folder});
    program("srun",
            "echo \"$@\" >>" + (folder_ / "srun.txt").string() +
                "; while [ $# -gt 0 ] && [ \"$1\" != --config ]; do shift; done; [ $# -gt 0 ] || exit 0; touch \"" +
                (sweep_.folder / "").string() + "$(basename \"$2\" .toml)/DONE\"");
    program("squeue", "echo RUNNING");
    program("scontrol", "echo \"$@\" >>" + (folder_ / "scontrol.txt").string());
  }

  void program(const std::string& name, const std::string& body) const {
    fs::create_directories(folder_ / "bin");
    io::write_file_atomically(folder_ / "bin" / name, "#!/bin/sh\n" + body + "\n");
    fs::permissions(folder_ / "bin" / name, fs::perms::owner_all);
  }

  /// Runs the first element of a submission with these runs, `runs_per_gpu` of which are in it.
  [[nodiscard]] CommandResult run_script(const std::string& token, const std::vector<const PlannedRun*>& runs,
                                         int restart = 0) const {
    const Site site = parse_site(
        fmt::format("[job]\ngpus_per_node = 0\nranks_per_node = 1\n[launch]\nruns_per_gpu = {}\n", runs.size()),
        "site.toml");
    Submission submission{.token = token, .folder = SweepFolder{sweep_.folder}.submissions() / token};
    for (const PlannedRun* run : runs) {
      submission.runs.push_back(run->id);
      submission.needs.push_back(run->needs);
    }
    if (restart == 0) {
      write_submission(submission, batch_script(io::read_file(fs::path(XTASC_SOURCE_DIR) / "slurm/job.sbatch.in"), site,
                                                {.sweep = "trial",
                                                 .token = token,
                                                 .folder = sweep_.folder,
                                                 .directory = folder_.path(),
                                                 .trainer_hash = "fedcba987654",
                                                 .num_runs = static_cast<std::int64_t>(runs.size())}));
    }
    return run_command(
        {"env", fmt::format("PATH={}:/usr/bin:/bin", (folder_ / "bin").string()), "SLURM_JOB_ID=18",
         "SLURM_ARRAY_JOB_ID=18", "SLURM_ARRAY_TASK_ID=0", "SLURM_JOB_NODELIST=n1",
         fmt::format("SLURM_RESTART_COUNT={}", restart), "bash", (submission.folder / "job.sbatch").string()},
        {.timeout = std::chrono::seconds(30)});
  }

  [[nodiscard]] std::string ended(const std::string& token, const PlannedRun& run) const {
    return io::read_file(SweepFolder{sweep_.folder}.submissions() / token / "ended" / run.id);
  }
};

TEST_F(ScriptOfNeeds, ARunIsNotStartedWhileWhatItNeedsIsNotDone) {
  finish(sweep_, *seg_);
  const CommandResult waits = run_script("aa", {student_});
  EXPECT_EQ(waits.exit_code, 85) << waits.errors;
  EXPECT_EQ(waits.errors, "");
  EXPECT_THAT(waits.output, HasSubstr(fmt::format("{}: waiting for {}\n", student_->id, depth_->id)));
  EXPECT_EQ(ended("aa", *student_), fmt::format("85 waiting for {}\n", depth_->id));
  EXPECT_FALSE(fs::exists(sweep_.folder / student_->id)) << "it was not started";
  EXPECT_FALSE(fs::exists(folder_ / "scontrol.txt")) << "nor put back into the queue";
  // It counts as one that may be submitted again.
  const std::vector<Submission> submissions = read_submissions({sweep_.folder});
  const Queue queue = to_queue(submitted_runs(submissions, {}));
  EXPECT_EQ(status_of({sweep_.folder}, *student_, queue).state, State::interrupted);
  EXPECT_EQ(status_in(sweep_, *student_, queue).detail, "waiting for " + depth_->id);
  finish(sweep_, *depth_);
  const CommandResult starts = run_script("bb", {student_});
  EXPECT_EQ(starts.exit_code, 0) << starts.output << starts.errors;
  EXPECT_EQ(ended("bb", *student_), "0 done\n");
  EXPECT_TRUE(SweepFolder{sweep_.folder}.run(student_->id).is_done());
}

TEST_F(ScriptOfNeeds, RunsOfOneElementWaitEachForItsOwn) {
  const CommandResult both = run_script("aa", {depth_, student_});
  EXPECT_EQ(both.exit_code, 85) << both.errors;
  EXPECT_EQ(both.errors, "");
  EXPECT_EQ(ended("aa", *depth_), "0 done\n");
  EXPECT_EQ(ended("aa", *student_), fmt::format("85 waiting for {}\n", seg_->id));
}

TEST_F(ScriptOfNeeds, ASubmissionOfBeforeHasNoSuchFile) {
  static_cast<void>(run_script("aa", {student_}));
  const fs::path folder = SweepFolder{sweep_.folder}.submissions() / "aa";
  fs::remove(folder / "needs.txt");
  fs::remove(folder / "ended" / student_->id);
  const CommandResult again = run_script("aa", {student_}, 1);
  EXPECT_EQ(again.exit_code, 0) << again.output << again.errors;
  EXPECT_EQ(again.errors, "");
}

/// A node that was cut off and comes back ends the steps that it knows, by their numbers, which begin at 0 each time.
TEST_F(ScriptOfNeeds, ALaterStartUsesUpTheStepNumbersOfThoseBefore) {
  const auto steps = [&] {
    const std::string text = io::read_file(folder_ / "srun.txt");
    fs::remove(folder_ / "srun.txt");
    std::vector<std::string> kinds;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
      kinds.emplace_back(line.ends_with("--ntasks=1 --mpi=none true") ? "nothing" : "run");
    }
    return kinds;
  };
  static_cast<void>(run_script("aa", {seg_, depth_}));
  EXPECT_THAT(steps(), ElementsAre("run", "run"));
  for (const PlannedRun* run : {seg_, depth_}) {
    fs::remove(SweepFolder{sweep_.folder}.submissions() / "aa" / "ended" / run->id);
    fs::remove_all(sweep_.folder / run->id);
  }
  const CommandResult third = run_script("aa", {seg_, depth_}, 2);
  EXPECT_EQ(third.exit_code, 0) << third.output << third.errors;
  EXPECT_THAT(steps(), ElementsAre("nothing", "nothing", "nothing", "nothing", "run", "run"));
}

}  // namespace
}  // namespace xtasc::sweep
