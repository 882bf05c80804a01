// Runs that need other runs: teachers are found when the sweep is read, before they are trained.
#include "sweep/needs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "run/run_id.hpp"
#include "run/weights_digest.hpp"
#include "sweep/inputs.hpp"
#include "sweep/needs_fixture.hpp"
#include "sweep/select.hpp"
#include "sweep/waiting.hpp"

namespace xtasc::sweep {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

TEST_F(NeedsTest, AStudentLearnsFromTheRunsOfItsSeedThatAreNotTrainedYet) {
  const Sweep sweep = read(std::string(kTeachers) + kStudent);
  ASSERT_THAT(sweep.runs, SizeIs(6));
  const PlannedRun& student = sweep.runs[5];
  EXPECT_EQ(student.config.run.seed, 2);
  EXPECT_THAT(student.needs, ElementsAre(sweep.runs[1].id, sweep.runs[3].id));
  EXPECT_THAT(sweep.runs[0].needs, IsEmpty());
  for (const auto& [key, teacher] : {std::pair{"seg", &sweep.runs[1]}, {"depth", &sweep.runs[3]}}) {
    const auto set = student.config.distillation.of(key);
    EXPECT_EQ(set.weights, (sweep.folder / teacher->id).string());
    EXPECT_EQ(set.digest, run::digest_of_run(teacher->config));
  }
  EXPECT_EQ(student.id, run::run_id(student.config));
  EXPECT_NE(student.id, sweep.runs[4].id);
  EXPECT_EQ(config::to_toml(config::read_run_config(sweep.base, student.assignments), false),
            config::to_toml(student.config, false));
}

TEST_F(NeedsTest, ItsIdIsTheSameWhereverItStandsAndWhateverIsDone) {
  const Sweep before = read(std::string(kTeachers) + kStudent);
  const Sweep turned = read(std::string(kStudent) + kTeachers);
  EXPECT_EQ(turned.runs[0].row, "KD4MTL");
  EXPECT_EQ(turned.runs[0].id, before.runs[4].id);
  for (const std::size_t teacher : {0U, 1U, 2U, 3U}) {
    finish(before, before.runs[teacher]);
  }
  const Sweep after = read(std::string(kTeachers) + kStudent);
  EXPECT_EQ(after.runs[4].id, before.runs[4].id);
  EXPECT_EQ(run::digest_of_weights(after.runs[5].config.distillation.of("seg").weights),
            after.runs[5].config.distillation.of("seg").digest)
      << "what the trainer finds there is what was planned";
  // Other teachers make another student.
  const Sweep longer = read(std::string(kTeachers) + "train.epochs = 5\n" + kStudent);
  EXPECT_NE(longer.runs[4].id, before.runs[4].id);
}

TEST_F(NeedsTest, TheRunsOfAxesMayNeedRowsToo) {
  const Sweep sweep =
      read(fmt::format("needs = [\"STAN\"]\nset.model.system = \"kd4mtl\"\n"
                       "[grid]\ndistillation.adaptor_learning_rate = [0.1, 0.01]\n{}",
                       kTeachers));
  ASSERT_THAT(sweep.runs, SizeIs(8));
  EXPECT_THAT(sweep.runs[3].needs, ElementsAre(sweep.runs[5].id, sweep.runs[7].id));
  EXPECT_THAT(sweep.runs[4].needs, IsEmpty());
}

TEST_F(NeedsTest, AStudentLacksWhatItsTeachersLack) {
  write_base("");
  const Sweep sweep = read(std::string(kTeachers) + kStudent);
  const PlannedRun& student = sweep.runs[4];
  EXPECT_EQ(student.lacks, "data.pack");
  EXPECT_THAT(student.id, StartsWith("kd4mtl-?"));
  EXPECT_THAT(student.needs, ElementsAre(sweep.runs[0].id, sweep.runs[2].id));
  EXPECT_NE(student.id, sweep.runs[5].id);
  EXPECT_EQ(status_in(sweep, student).detail, "data.pack is not known here");
  EXPECT_THAT(reasons_without_id(select(sweep, {})), SizeIs(1));
}

TEST_F(NeedsTest, WhatARunOfTheSweepIsToMakeIsNotAbsent) {
  const Sweep sweep = read(std::string(kTeachers) + kStudent);
  EXPECT_THAT(check_inputs(select(sweep, {})).absent, ElementsAre(StartsWith("data.pack: there is no file p.h5")));
  const Sweep by_hand = read(
      "[[point]]\nname = \"KD4MTL\"\nmodel.system = \"kd4mtl\"\n"
      "distillation.teacher_seg = \"no/seg.pt\"\ndistillation.teacher_depth = \"no/depth.pt\"\n");
  EXPECT_EQ(by_hand.runs[0].lacks, "distillation.teacher_seg");
  EXPECT_THAT(check_inputs(select(by_hand, {})).absent,
              testing::Contains("distillation.teacher_seg: there is no file no/seg.pt"));
  EXPECT_EQ(check_inputs(select(by_hand, {})).code(), ExitCode::usage);
}

TEST_F(NeedsTest, AFileThatIsNoTeachersIsAWrongConfig) {
  test::write_run(folder_ / "runs", {.name = "segnet", .settings = {"model.system=segnet"}});
  const fs::path best = folder_ / "runs/segnet/checkpoint/best";
  fs::create_directories(best);
  std::ofstream(best / "weights.pt") << "PK\x03\x04";
  std::ofstream(folder_ / "notes.txt") << "some words\n";
  const Sweep sweep =
      read(fmt::format("[[point]]\nname = \"KD4MTL\"\nmodel.system = \"kd4mtl\"\n"
                       "distillation.teacher_seg = \"{}\"\ndistillation.teacher_depth = \"{}\"\n",
                       (best / "weights.pt").string(), (folder_ / "notes.txt").string()));
  const InputFaults found = check_inputs(select(sweep, {}));
  EXPECT_EQ(found.code(), ExitCode::usage);
  EXPECT_THAT(found.wrong, ElementsAre(testing::EndsWith("weights.pt: it is a run of segnet, wanted is one of "
                                                         "stan (segmentation)"),
                                       testing::HasSubstr("notes.txt: found text (\"some words\")")));
}

TEST_F(NeedsTest, RowsThatCannotBeInOrderAreFaults) {
  const auto student = [](const char* name, const char* needs) {
    return fmt::format("[[point]]\nname = \"{}\"\nmodel.system = \"kd4mtl\"\nneeds = {}\n", name, needs);
  };
  EXPECT_THAT(faults(kTeachers + student("KD", "[\"STAM\"]")),
              ElementsAre("trial.toml:15:10: \"KD\" needs \"STAM\", which is no row of this sweep; did you mean "
                          "\"STAN\"?"));
  EXPECT_THAT(faults(kTeachers + student("KD", "[\"STAN\", \"KD\"]")),
              ElementsAre("trial.toml:15:18: \"KD\" needs itself"));
  EXPECT_THAT(
      faults(student("A", "[\"B\"]") + student("B", "[\"C\"]") + student("C", "[\"A\"]")),
      ElementsAre("trial.toml:15:10: \"A\" needs \"B\" needs \"C\" needs \"A\": none of them can be the first"));
  EXPECT_THAT(faults(kTeachers + student("KD", "\"STAN\"")),
              ElementsAre("trial.toml:15:9: needs must be a list of rows of this file, e.g. needs = [\"STAN\"]"));
  EXPECT_THAT(faults(kTeachers + student("KD", "[3]")), testing::Contains(StartsWith("trial.toml:15:10: each of")));
  EXPECT_THAT(faults(fmt::format("needs = [\"STAN\"]\n{}", kTeachers)),
              ElementsAre("trial.toml:4:10: needs stands here for the runs of [grid], [[zip]] and [random], of which "
                          "there are none: write it into the [[point]]"));
  EXPECT_THAT(faults(fmt::format("needs = [\"STAM\"]\nset.model.system = \"kd4mtl\"\n"
                                 "[grid]\ndistillation.weight_seg = [1.0, 2.0]\n{}",
                                 kTeachers)),
              SizeIs(1))
      << "told once, not for every run of the axes";
}

TEST_F(NeedsTest, TeachersThatAreNotThereOrThereTwiceAreFaults) {
  EXPECT_THAT(faults(fmt::format("[[point]]\nname = \"STAN\"\nmodel.system = \"stan\"\nmodel.tasks = [\"depth\"]\n"
                                 "[[point]]\nname = \"MTAN\"\nmodel.system = \"mtan\"\n{}",
                                 kStudent)),
              ElementsAre("trial.toml:14:10: \"KD4MTL\" needs \"STAN\", which has no run of stan (segmentation) with "
                          "seed 1 on the same data"));
  EXPECT_THAT(faults(fmt::format("{}[[point]]\nname = \"KD4MTL\"\nmodel.system = \"kd4mtl\"\nneeds = [\"STAN\"]\n"
                                 "data.label_set = \"other\"\n",
                                 kTeachers)),
              SizeIs(2))
      << "no teacher of either task has these labels";
  const Sweep good = read(std::string(kTeachers) + kStudent);
  const std::string longer =
      "[[point]]\nname = \"STAN, long\"\nmodel.system = \"stan\"\nmodel.tasks = [\"depth\"]\ntrain.epochs = 9\n";
  const auto told =
      faults(fmt::format("{}{}[[point]]\nname = \"KD4MTL\"\nmodel.system = \"kd4mtl\"\n"
                         "needs = [\"STAN\", \"STAN, long\"]\n",
                         kTeachers, longer));
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_THAT(told[0], StartsWith(fmt::format("trial.toml:20:10: \"KD4MTL\" needs \"STAN\" and \"STAN, long\", which "
                                              "have 2 runs of stan (depth) with seed 1 on the same data, {}, ",
                                              good.runs[2].id)));
}

TEST_F(NeedsTest, WhatMakesNoSenseIsAFault) {
  EXPECT_THAT(
      faults(fmt::format("{}[[point]]\nname = \"MTAN\"\nmodel.system = \"mtan\"\nneeds = [\"STAN\"]\n", kTeachers)),
      ElementsAre("trial.toml:15:10: \"MTAN\" needs \"STAN\", but model.system = \"mtan\" learns from no "
                  "teacher: needs is for students, as kd4mtl"));
  EXPECT_THAT(faults(fmt::format("{}{}distillation.teacher_depth = \"depth.pt\"\n", kTeachers, kStudent)),
              ElementsAre("trial.toml:15:10: \"KD4MTL\" needs \"STAN\", and distillation.teacher_depth is set as well: "
                          "keep one"));
  EXPECT_THAT(faults("[[point]]\nname = \"KD4MTL\"\nmodel.system = \"kd4mtl\"\n"),
              ElementsAre("trial.toml:4:1: \"KD4MTL\": model.system = \"kd4mtl\" learns from a teacher for each task: "
                          "set distillation.teacher_seg, or needs = [\"ROW\"] with the row of its stan runs"));
}

TEST_F(NeedsTest, AStudentWaitsForWhatIsNotDone) {
  const Sweep sweep = read(std::string(kTeachers) + kStudent);
  const SweepFolder folder{sweep.folder};
  const PlannedRun& student = sweep.runs[4];
  const PlannedRun& seg = sweep.runs[0];
  const PlannedRun& depth = sweep.runs[2];
  prepare_sweep_folder(folder);
  const auto detail = [&] {
    const RunStatus status = status_in(sweep, student);
    EXPECT_EQ(status.state, State::waiting);
    return status.detail;
  };
  EXPECT_EQ(detail(), fmt::format("waiting for {} and {}", seg.id, depth.id));
  finish(sweep, seg);
  EXPECT_EQ(detail(), fmt::format("waiting for {}", depth.id));
  write_end(folder, depth.id, {.code = 1, .by = "me"});
  EXPECT_EQ(detail(), fmt::format("waiting for {}, which failed", depth.id));
  EXPECT_EQ(statuses(sweep)[4].detail, detail());
  write_end(folder, depth.id, {.code = 0, .by = "me"});
  EXPECT_EQ(detail(), fmt::format("waiting for {}, which is incomplete", depth.id));
  EXPECT_EQ(clear_failures(sweep, {}, {}), 1) << "the student is none";
  EXPECT_EQ(detail(), fmt::format("waiting for {}", depth.id));
  finish(sweep, depth);
  EXPECT_EQ(detail(), "");
  // Its own end, and what the queue says of it, count as ever.
  EXPECT_EQ(
      status_in(sweep, student, {{student.id, {.kind = QueueState::Kind::queued, .job = "7_0", .text = {}}}}).state,
      State::queued);
  write_end(folder, student.id, {.code = 1, .by = "me"});
  EXPECT_EQ(status_in(sweep, student).state, State::failed);
}

TEST_F(NeedsTest, ATeacherOfASweepBesideIsLinkedAndDone) {
  const Sweep sweep = read(std::string(kTeachers) + kStudent);
  Sweep beside = sweep;
  beside.folder = sweep.folder.parent_path() / "other";
  for (const std::size_t teacher : {0U, 2U}) {
    finish(beside, beside.runs[teacher]);
  }
  EXPECT_THAT(open_needs(sweep, sweep.runs[4]), IsEmpty());
  prepare_sweep_folder({sweep.folder});
  EXPECT_THAT(link_finished_runs(sweep), SizeIs(2));
  const std::string& folder = sweep.runs[4].config.distillation.of("seg").weights;
  EXPECT_TRUE(fs::exists(fs::path(folder) / "DONE")) << "as the batch script asks";
  EXPECT_EQ(run::digest_of_weights(folder), sweep.runs[4].config.distillation.of("seg").digest);
}

}  // namespace
}  // namespace xtasc::sweep
