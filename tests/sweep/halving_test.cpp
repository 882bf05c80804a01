// [stop] of a sweep file: who is halted at a rung, who waits there, and what is handed in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "io/atomic_file.hpp"
#include "sweep/collect.hpp"
#include "sweep/halving/legs.hpp"
#include "sweep/halving/rungs.hpp"
#include "sweep/halving/stop.hpp"
#include "sweep/needs_fixture.hpp"
#include "sweep/select.hpp"

namespace xtasc::sweep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kSingle =
    "[[point]]\nname = \"Base ST\"\nmodel.system = \"base_st_seg\"\n"
    "[[point]]\nname = \"Base ST\"\nmodel.system = \"base_st_depth\"\n";

std::string lambdas(const std::string& values) {
  return fmt::format("[grid]\nloss.lambda_1 = [{}]\n", values);
}

/// Rows lambda_1 = 0.1, 0.2, ... and Base ST, one seed; 10 epochs.
class Halving : public NeedsTest {
 protected:
  void SetUp() override {
    NeedsTest::SetUp();
    load("after_epochs = [2, 4]\n", lambdas("0.1, 0.2, 0.3, 0.4"));
  }

  void load(const std::string& stop, const std::string& axes, const std::string& head = "seeds = [1]\n") {
    std::ofstream(folder_ / "trial.toml")
        << fmt::format("base = \"base.toml\"\n{}[set]\nrun.output = \"{}\"\ntrain.epochs = 10\n[stop]\n{}{}{}", head,
                       (folder_ / "runs").string(), stop, axes, kSingle);
    sweep_ = read_sweep(folder_ / "trial.toml");
    prepare_sweep_folder(files());
  }

  [[nodiscard]] SweepFolder files() const { return {sweep_.folder}; }
  [[nodiscard]] const PlannedRun& run(std::size_t index) const { return sweep_.runs[index]; }
  [[nodiscard]] std::size_t num_runs() const { return sweep_.runs.size(); }

  /// A run that stopped after so many epochs, each of this quality.
  void train(const PlannedRun& run, int epochs, double quality, int code = 85) const {
    const run::RunFolder folder = files().run(run.id);
    fs::create_directories(folder.root);
    test::write_text(folder.config(), config::to_toml(run.config, false));
    fs::remove(folder.metrics());
    for (int epoch = 1; epoch <= epochs; ++epoch) {
      test::append_metrics(folder.metrics(),
                           test::synthetic_epoch(epoch, epoch == 1, quality, run.config.model.system != "base_st_depth",
                                                 run.config.model.system != "base_st_seg"));
    }
    write_end(files(), run.id, {.code = code, .by = "test"});
  }

  /// The four rows and Base ST, whose halves are the last two runs.
  void train_all(int epochs, const std::vector<double>& qualities) const {
    for (std::size_t i = 0; i < qualities.size(); ++i) {
      train(run(i), epochs, qualities[i]);
    }
    train(run(num_runs() - 2), epochs, 0.0);
    train(run(num_runs() - 1), epochs, 0.0);
  }

  [[nodiscard]] std::vector<std::string> states() const {
    std::vector<std::string> found;
    for (const RunStatus& status : statuses(sweep_)) {
      found.emplace_back(name(status.state));
    }
    return found;
  }

  /// The rows that a decision keeps, the best first.
  static std::vector<std::string> kept(const Decision& decision) {
    std::vector<std::string> names;
    for (const Decision::Row& row : decision.rows) {
      if (row.is_kept) {
        names.push_back(row.name);
      }
    }
    return names;
  }

  Sweep sweep_;
};

TEST_F(Halving, ARungIsDecidedWhenAllRowsAndWhatTheyAreSetAgainstAreThere) {
  train_all(2, {0.01, 0.04, 0.02, 0.03});
  train(run(2), 1, 0.02);
  train(run(5), 1, 0.0);
  Rungs rungs(sweep_);
  ASSERT_THAT(rungs.open_at(2), SizeIs(2));
  EXPECT_EQ(rungs.open_at(2)[0].run, &run(5));
  EXPECT_EQ(rungs.open_at(2)[1].run, &run(2));
  EXPECT_THAT(rungs.decide(), IsEmpty());
  EXPECT_THAT(states(), ElementsAre("paused", "paused", "interrupted", "paused", "paused", "interrupted"));
  EXPECT_EQ(statuses(sweep_)[0].detail,
            fmt::format("at epoch 2, waiting for {}, which is interrupted, and 1 other run", run(5).id));
  EXPECT_EQ(rungs.pace_of(run(2), 1).until_epoch, 2);
  train(run(5), 2, 0.0);
  train(run(2), 2, 0.02);
  EXPECT_THAT(statuses(sweep_)[0].detail, HasSubstr("every row is there"));
  const std::vector<Decision> made = Rungs(sweep_).decide();
  ASSERT_THAT(made, SizeIs(1));
  EXPECT_THAT(kept(made[0]), ElementsAre("lambda_1 = 0.2", "lambda_1 = 0.4"));
  EXPECT_THAT(states(), ElementsAre("halted", "interrupted", "halted", "interrupted", "interrupted", "interrupted"));
  EXPECT_EQ(Rungs(sweep_).pace_of(run(1), 2).until_epoch, 4);
  EXPECT_EQ(Rungs(sweep_).pace_of(run(4), 2).until_epoch, 4) << "Base ST waits at the next rung as well";
}

TEST_F(Halving, DeltaMIsThatOfTheSameEpochAndIsTold) {
  train_all(2, {0.01, 0.04, 0.02, -0.03});
  train(run(3), 5, -0.03);  // was further already: what counts is epoch 2
  static_cast<void>(Rungs(sweep_).decide());
  // (0.03/0.3 + 0.03/0.6 + 0.03/0.64 + 0.03/0.24) / 4 = 8.05 %, worse.
  EXPECT_EQ(statuses(sweep_)[3].detail, "after epoch 2: Delta_m -8.0 %, 4th of 4, 2 kept");
  EXPECT_EQ(statuses(sweep_)[3].epoch, 5);
}

TEST_F(Halving, ADecisionNeverChanges) {
  train_all(2, {0.04, 0.03, 0.02, 0.01});
  static_cast<void>(Rungs(sweep_).decide());
  const fs::path file = files().rungs() / "epoch_2_1.json";
  const std::string written = io::read_file(file);
  train_all(2, {0.01, 0.02, 0.03, 0.04});
  EXPECT_THAT(Rungs(sweep_).decide(), IsEmpty());
  EXPECT_EQ(io::read_file(file), written);
  EXPECT_THAT(states(), ElementsAre("interrupted", "interrupted", "halted", "halted", "interrupted", "interrupted"));
  io::write_file_atomically(file, std::string_view("{"));
  EXPECT_THROW(Rungs{sweep_}, Error);
}

TEST_F(Halving, TheNextRungIsAmongThoseThatWereKept) {
  train_all(2, {0.01, 0.02, 0.03, 0.04});
  static_cast<void>(Rungs(sweep_).decide());
  train(run(2), 4, 0.03);
  train(run(3), 4, 0.01);
  train(run(4), 4, 0.0);
  train(run(5), 4, 0.0);
  const std::vector<Decision> made = Rungs(sweep_).decide();
  ASSERT_THAT(made, SizeIs(1));
  EXPECT_EQ(made[0].after_epoch, 4);
  EXPECT_THAT(kept(made[0]), ElementsAre("lambda_1 = 0.3"));
  EXPECT_THAT(statuses(sweep_)[3].detail, HasSubstr("after epoch 4: Delta_m +2.7 %, 2nd of 2, 1 kept"));
  EXPECT_THAT(statuses(sweep_)[0].detail, HasSubstr("after epoch 2: "));
  EXPECT_EQ(Rungs(sweep_).pace_of(run(2), 4).until_epoch, 0);
}

TEST_F(Halving, AFailedRowIsTheWorstAndEqualOnesAreInTheFilesOrder) {
  train_all(2, {0.02, 0.02, 0.02, 0.02});
  train(run(0), 1, 0.09, 1);
  const std::vector<Decision> made = Rungs(sweep_).decide();
  ASSERT_THAT(made, SizeIs(1));
  EXPECT_THAT(kept(made[0]), ElementsAre("lambda_1 = 0.2", "lambda_1 = 0.3"));
  EXPECT_EQ(made[0].rows[3].name, "lambda_1 = 0.1");
  EXPECT_EQ(made[0].text_of(made[0].rows[3]), "after epoch 2: no Delta_m, 4th of 4, 2 kept");
  EXPECT_EQ(states()[0], "failed");
  EXPECT_EQ(clear_failures(sweep_, {}, {}), 1);
  EXPECT_EQ(states()[0], "halted") << "it may start again, but for the rung";
}

TEST_F(Halving, AFailedBaselineIsWaitedFor) {
  train_all(2, {0.01, 0.02, 0.03, 0.04});
  train(run(4), 1, 0.0, 1);
  EXPECT_THAT(Rungs(sweep_).decide(), IsEmpty());
  EXPECT_EQ(statuses(sweep_)[0].detail, fmt::format("at epoch 2, waiting for {}, which failed", run(4).id));
}

TEST_F(Halving, ARunThatEndedBeforeCountsWithItsLastEpoch) {
  train_all(2, {0.01, 0.02, 0.03, 0.0});
  train(run(3), 1, 0.09, 0);
  test::write_text(files().run(run(3).id).done_marker(), "now\n");
  const std::vector<Decision> made = Rungs(sweep_).decide();
  ASSERT_THAT(made, SizeIs(1));
  EXPECT_THAT(kept(made[0]), ElementsAre("lambda_1 = 0.4", "lambda_1 = 0.3"));
  EXPECT_EQ(states()[3], "done");
}

TEST_F(Halving, RowsThatComeLaterAreDecidedAmongThemselves) {
  train_all(2, {0.01, 0.02, 0.03, 0.04});
  static_cast<void>(Rungs(sweep_).decide());
  load("after_epochs = [2, 4]\n", lambdas("0.1, 0.2, 0.3, 0.4, 0.5, 0.6"));
  train(run(4), 2, -0.05);
  EXPECT_EQ(states()[4], "paused");
  EXPECT_EQ(states()[2], "interrupted") << "who was kept goes on";
  train(run(5), 2, -0.06);
  const std::vector<Decision> made = Rungs(sweep_).decide();
  ASSERT_THAT(made, SizeIs(1));
  EXPECT_THAT(kept(made[0]), ElementsAre("lambda_1 = 0.5"));
  EXPECT_TRUE(fs::exists(files().rungs() / "epoch_2_2.json"));
  EXPECT_THAT(states(), ElementsAre("halted", "halted", "interrupted", "interrupted", "interrupted", "halted",
                                    "interrupted", "interrupted"));
}

TEST_F(Halving, ARowIsTheMeanOfItsSeedsAndALaterSeedFollowsItsRow) {
  load("after_epochs = [2]\nkeep = 0.5\n", lambdas("0.1, 0.2"), "seeds = [1, 2]\n");
  train(run(0), 2, 0.05);
  train(run(1), 2, -0.05);
  train(run(2), 2, 0.01);
  train(run(3), 2, 0.01);
  for (std::size_t i = 4; i < num_runs(); ++i) {
    train(run(i), 2, 0.0);
  }
  EXPECT_THAT(kept(Rungs(sweep_).decide().at(0)), ElementsAre("lambda_1 = 0.2"));
  load("after_epochs = [2]\nkeep = 0.5\n", lambdas("0.1, 0.2"), "seeds = [1, 2, 3]\n");
  EXPECT_EQ(states()[2], "halted");
  EXPECT_EQ(Rungs(sweep_).pace_of(run(5), 0).until_epoch, 0);
}

TEST_F(Halving, AMetricMayDecideAndLowerMayBeBetter) {
  load("after_epochs = [2]\nby = \"abs_err\"\nprotocol = \"dataset\"\n", lambdas("0.1, 0.2, 0.3"));
  for (std::size_t i = 0; i < 3; ++i) {
    train(run(i), 2, 0.01 * static_cast<double>(i));
  }
  const std::vector<Decision> made = Rungs(sweep_).decide();  // Base ST is not asked
  ASSERT_THAT(made, SizeIs(1));
  EXPECT_THAT(kept(made[0]), ElementsAre("lambda_1 = 0.3", "lambda_1 = 0.2"));
  EXPECT_THAT(made[0].text_of(made[0].rows[2]), HasSubstr("after epoch 2: AbsErr 0.66"));
  EXPECT_EQ(Rungs(sweep_).pace_of(run(3), 0).until_epoch, 0);
}

TEST_F(Halving, AHaltedRunCanBeLetGoOnToItsEnd) {
  train_all(2, {0.01, 0.02, 0.03, 0.04});
  static_cast<void>(Rungs(sweep_).decide());
  EXPECT_EQ(release_halted(sweep_, {"lambda_1 = 0.1", "lambda_1 = 0.4"}, {}), 1) << "the other is not halted";
  EXPECT_THAT(states(),
              ElementsAre("interrupted", "halted", "interrupted", "interrupted", "interrupted", "interrupted"));
  const Pace pace = Rungs(sweep_).pace_of(run(0), 2);
  EXPECT_FALSE(pace.is_halted);
  EXPECT_EQ(pace.until_epoch, 0);
  EXPECT_THAT(Rungs(sweep_).open_at(4), Not(testing::Contains(testing::Field(&OpenNeed::run, &run(0)))));
}

TEST_F(Halving, WhatIsWrittenDownForJobsDecidesTheSame) {
  train_all(2, {0.01, 0.04, 0.02, 0.03});
  EXPECT_FALSE(read_frozen_race(files()));
  freeze_race(sweep_);
  const auto frozen = read_frozen_race(files());
  ASSERT_TRUE(frozen);
  EXPECT_THAT(kept(Rungs(*frozen).decide().at(0)), ElementsAre("lambda_1 = 0.2", "lambda_1 = 0.4"));
  EXPECT_TRUE(Rungs(sweep_).pace_of(run(0), 2).is_halted);
}

TEST_F(Halving, LegsAreCutAtTheRungs) {
  const auto ids = [](const std::vector<const PlannedRun*>& runs) { return runs.size(); };
  const Legs all = legs_of(sweep_, Rungs(sweep_), select(sweep_, {}));
  EXPECT_EQ(ids(all.first), 6U);
  ASSERT_THAT(all.later, SizeIs(2));
  EXPECT_EQ(all.later[0].rung, 2);
  EXPECT_EQ(ids(all.later[0].runs), 6U);
  EXPECT_EQ(ids(all.later[1].runs), 6U) << "nobody knows yet who will be kept";
  train_all(2, {0.01, 0.02, 0.03, 0.04});
  train(run(0), 1, 0.0);
  const Legs one_open = legs_of(sweep_, Rungs(sweep_), select(sweep_, {}));
  EXPECT_THAT(one_open.first, ElementsAre(&run(0)));
  EXPECT_EQ(ids(one_open.later.at(0).runs), 6U);
  const Legs without = legs_of(sweep_, Rungs(sweep_), {&run(1), &run(4)});
  EXPECT_THAT(without.later, IsEmpty());
  EXPECT_THAT(without.left_waiting, ElementsAre(&run(1), &run(4)));
  EXPECT_EQ(without.blocked, fmt::format("at epoch 2, waiting for {}, which is not selected and not done", run(0).id));
  train(run(0), 2, 0.0);
  static_cast<void>(Rungs(sweep_).decide());
  const Legs decided = legs_of(sweep_, Rungs(sweep_), {&run(2), &run(3), &run(4), &run(5)});
  EXPECT_EQ(ids(decided.first), 4U);
  EXPECT_THAT(decided.later, ElementsAre(testing::Field(&Leg::rung, 4)));
}

TEST_F(Halving, WhatIsTrainedAtMost) {
  std::map<std::string, double> cost;
  for (std::size_t i = 0; i < num_runs(); ++i) {
    cost[run(i).id] = static_cast<double>(i == 1 ? 9 : i);
  }
  const auto epochs = [&] {
    std::vector<std::int64_t> found;
    for (const PlannedRun& one : sweep_.runs) {
      found.push_back(epochs_at_most(sweep_, Rungs(sweep_), cost).at(one.id));
    }
    return found;
  };
  EXPECT_THAT(epochs(), ElementsAre(2, 10, 2, 4, 10, 10)) << "where the costly ones go on";
  train_all(2, {0.04, 0.01, 0.03, 0.02});
  static_cast<void>(Rungs(sweep_).decide());
  EXPECT_THAT(epochs(), ElementsAre(4, 2, 10, 2, 10, 10));
}

TEST_F(Halving, TheTableSaysHowManyRowsItLacks) {
  train_all(2, {0.01, 0.02, 0.03, 0.04});
  static_cast<void>(Rungs(sweep_).decide());
  for (const std::size_t i : {2U, 3U, 4U, 5U}) {
    train(run(i), 10, 0.02, 0);
    run::write_provenance(files().run(run(i).id).provenance(), run::Provenance());
    test::write_text(files().run(run(i).id).done_marker(), "now\n");
  }
  const std::vector<RunStatus> all = statuses(sweep_);
  const Collected collected = collect(sweep_, all, std::vector{report::Protocol::paper}, report::Checkpoint::last);
  EXPECT_EQ(collected.num_halted, 2U);
  EXPECT_EQ(collected.num_not_done, 2U);
  ASSERT_THAT(collected.sheets, SizeIs(1));
  EXPECT_THAT(collected.sheets[0].caption,
              HasSubstr("2 of 5 rows are not in it: halted by delta_m, after epoch 2 or 4."));
  EXPECT_THAT(collected.left_out.at(0).reason, HasSubstr("halted, epoch 2 of 10; after epoch 2: Delta_m"));
}

TEST_F(Halving, TheTableSaysWhichRowsHaveChosenSeeds) {
  std::vector<RunStatus> all = statuses(sweep_);
  for (RunStatus& status : all) {
    status.state = State::halted;
  }
  Sweep of_one_row = sweep_;
  for (PlannedRun& planned : of_one_row.runs) {
    planned.row = "one row";
  }
  train(run(4), 10, 0.02, 0);
  run::write_provenance(files().run(run(4).id).provenance(), run::Provenance());
  test::write_text(files().run(run(4).id).done_marker(), "now\n");
  all[4].state = State::done;
  const Collected collected = collect(of_one_row, all, std::vector{report::Protocol::paper}, report::Checkpoint::last);
  ASSERT_THAT(collected.sheets, SizeIs(1));
  EXPECT_THAT(collected.sheets[0].caption, testing::Not(HasSubstr("not in it")));
  EXPECT_THAT(
      collected.sheets[0].caption,
      HasSubstr("Of one row other seeds are halted by delta_m, after epoch 2 or 4, so that the mean is over seeds "
                "that were chosen."));
}

TEST(Stops, KeepAtLeastOne) {
  EXPECT_EQ(num_kept({.keep = 0.5}, 12), 6U);
  EXPECT_EQ(num_kept({.keep = 0.5}, 5), 3U);
  EXPECT_EQ(num_kept({.keep = 0.1}, 30), 3U) << "0.1 * 30 is more than three by rounding";
  EXPECT_EQ(num_kept({.keep = 0.01}, 3), 1U);
}

TEST_F(Halving, FaultsOfTheSection) {
  const std::string rows = lambdas("0.1, 0.2");
  EXPECT_THAT(
      faults("[stop]\nafter_epochs = [3, 2]\nkeep = 1\nby = \"miuo\"\nprotocol = \"x\"\nrule = 1\n" + rows),
      ElementsAre("trial.toml:5:16: stop.after_epochs must be a rising list of integers >= 1, e.g. [20, 60]",
                  "trial.toml:6:8: stop.keep must be a share > 0 and < 1, e.g. 0.5",
                  HasSubstr("trial.toml:7:6: stop.by must be one of delta_m, miou, "),
                  "trial.toml:8:12: stop.protocol must be paper or dataset",
                  "trial.toml:9:1: unknown key \"rule\" in [stop]; known are after_epochs, keep, by, protocol"));
  EXPECT_THAT(faults("[stop]\nkeep = 0.5\n" + rows),
              ElementsAre(HasSubstr("trial.toml:4:1: [stop] lacks after_epochs: when rows are halted")));
  EXPECT_THAT(faults("[stop]\nafter_epochs = [2]\n" + rows),
              testing::Each(HasSubstr("the sweep has no single-task rows and no baseline that its Delta_m could be "
                                      "over")));
  EXPECT_THAT(faults("[stop]\nafter_epochs = [2, 4]\nby = \"miou\"\n" + rows),
              testing::Contains("trial.toml:4:1: [stop]: \"lambda_1 = 0.1\": trains 4 epochs, so nothing can be halted "
                                "after epoch 4"));
  EXPECT_THAT(faults("[stop]\nafter_epochs = [2]\nby = \"miou\"\n" + std::string(kSingle)),
              ElementsAre(HasSubstr("no row may be halted: the baseline, single-task nets and what other rows need")));
  EXPECT_THAT(faults("[stop]\nafter_epochs = [2]\nby = \"angle_mean\"\n" + rows),
              testing::Each(HasSubstr("angle_mean is not measured of xtasc")));
  EXPECT_THAT(faults("[stop]\nafter_epochs = [2]\nby = \"miou\"\n[grid]\nloss.lambda_1 = [0.1, 0.2]\n[[point]]\nname = "
                     "\"held\"\ndata.holdout = 0.2\n"),
              testing::Contains(HasSubstr("\"held\": is measured on other images (data.holdout = 0.2) than")));
}

}  // namespace
}  // namespace xtasc::sweep
