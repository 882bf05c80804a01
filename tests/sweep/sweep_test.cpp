#include "sweep/sweep.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <tuple>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "report/results_fixture.hpp"
#include "run/run_id.hpp"

namespace xtasc::sweep {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::Pair;

class SweepTest : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(folder_.path() / "base.toml") << "[data]\npack = \"p.h5\"\npack_digest = "
                                                   "\"00112233445566778899aabbccddeeff\"\n"
                                                   "[model]\nencoder = \"resnet18\"\n";
  }

  Sweep read(const std::string& text, const std::vector<std::string>& assignments = {}) {
    std::ofstream(file()) << text;
    return read_sweep(file(), assignments);
  }

  /// What a text is refused with: the only fault, or all of them; the folder's path is left out.
  std::vector<std::string> faults(const std::string& text, const std::vector<std::string>& assignments = {}) {
    try {
      read(text, assignments);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      std::vector<std::string> lines = error.details();
      if (lines.empty()) {
        lines.emplace_back(error.what());
      } else {
        EXPECT_EQ(error.what(), fmt::format("{}: {} faults, nothing was run", file().string(), lines.size()));
      }
      for (std::string& line : lines) {
        for (auto at = line.find(folder_.path().string()); at != std::string::npos;
             at = line.find(folder_.path().string())) {
          line.erase(at, folder_.path().string().size() + 1);
        }
      }
      return lines;
    }
    return {"accepted"};
  }

  [[nodiscard]] fs::path file() const { return folder_.path() / "trial.toml"; }

  test::TempFolder folder_;
};

std::vector<std::string> rows(const Sweep& sweep) {
  std::vector<std::string> found;
  for (const PlannedRun& run : sweep.runs) {
    if (found.empty() || found.back() != run.row) {
      found.push_back(run.row);
    }
  }
  return found;
}

std::set<std::string> ids(const Sweep& sweep) {
  std::set<std::string> found;
  for (const PlannedRun& run : sweep.runs) {
    found.insert(run.id);
  }
  return found;
}

TEST_F(SweepTest, AGridIsAProductInTheFilesOrder) {
  const Sweep sweep = read(
      "base = \"base.toml\"\ntitle = \"A trial\"\nranks = 2\n[set]\nrun.output = \"out\"\ntrain.epochs = 7\n"
      "[grid]\nmodel.system = [\"xtasc\", \"align\"]\nloss.lambda_1 = [0.1, 0.0]\n");
  EXPECT_EQ(sweep.name, "trial");
  EXPECT_EQ(sweep.title, "A trial");
  EXPECT_EQ(sweep.folder, "out/trial");
  EXPECT_EQ(sweep.ranks.number, 2);
  EXPECT_THAT(sweep.axes, ElementsAre("model.system", "loss.lambda_1"));
  EXPECT_THAT(rows(sweep), ElementsAre("system = xtasc, lambda_1 = 0.1", "system = xtasc, lambda_1 = 0.0",
                                       "system = align, lambda_1 = 0.1", "system = align, lambda_1 = 0.0"));
  const PlannedRun& run = sweep.runs[2];
  EXPECT_EQ(run.config.model.system, "align");
  EXPECT_EQ(run.config.model.encoder, config::Encoder::resnet18);
  EXPECT_EQ(run.config.loss.lambda_1, 0.1);
  EXPECT_EQ(run.config.train.epochs, 7);
  EXPECT_EQ(run.config.run.output, "out/trial");
  EXPECT_EQ(run.config.run.seed, 1);
  EXPECT_THAT(run.axes, ElementsAre(Pair("model.system", "align"), Pair("loss.lambda_1", "0.1")));
  EXPECT_THAT(run.assignments, ElementsAre("run.output=out", "train.epochs=7", "model.system=align",
                                           "loss.lambda_1=0.1", "run.output=out/trial"));
  // The assignments alone give the same run.
  EXPECT_EQ(config::to_toml(config::read_run_config(sweep.base, run.assignments), false),
            config::to_toml(run.config, false));
}

TEST_F(SweepTest, AZipMovesItsAxesTogether) {
  const Sweep sweep = read(
      "base = \"base.toml\"\n[[zip]]\nloss.lambda_1 = [0.1, 0.2]\nloss.lambda_2 = [0.3, 0.4]\n"
      "[grid]\nmodel.encoder = [\"resnet18\", \"resnet34\"]\n");
  EXPECT_THAT(rows(sweep), ElementsAre("lambda_1 = 0.1, lambda_2 = 0.3, encoder = resnet18",
                                       "lambda_1 = 0.1, lambda_2 = 0.3, encoder = resnet34",
                                       "lambda_1 = 0.2, lambda_2 = 0.4, encoder = resnet18",
                                       "lambda_1 = 0.2, lambda_2 = 0.4, encoder = resnet34"));
}

TEST_F(SweepTest, NamesOfAxesAndValuesMakeTheRows) {
  const Sweep sweep = read(
      "base = \"base.toml\"\nbaseline = \"Base ST-Net\"\n"
      "[grid]\nmodel.system = [\"base_st_seg\", \"base_st_depth\", \"xtasc\"]\n"
      "[[zip]]\nnames = [\"short\", \"long\"]\ntrain.epochs = [2, 9]\n"
      "[[exclude]]\nmodel.system = [\"base_st_seg\", \"base_st_depth\"]\ntrain.epochs = 9\n"
      "[value_names]\nmodel.system.base_st_seg = \"Base ST-Net\"\nmodel.system.base_st_depth = \"Base ST-Net\"\n"
      "[axis_names]\ntrain.epochs = \"length\"\n"
      "[[point]]\nname = \"Base ST-Net\"\nmodel.system = \"base_st_seg\"\ntrain.epochs = 4\nrun.precision = \"bf16\"\n"
      "[[point]]\nname = \"one more\"\nmodel.system = \"base_mt\"\n",
      {"train.batch_size=3"});
  EXPECT_EQ(faults("base = \"base.toml\"\n"),
            std::vector<std::string>{"trial.toml: nothing to run: needed is [grid], [[zip]], [random] or [[point]]"});
  EXPECT_THAT(rows(sweep), ElementsAre("Base ST-Net, short", "system = xtasc, short", "system = xtasc, long",
                                       "Base ST-Net", "one more"));
  EXPECT_EQ(sweep.axis_names.at("train.epochs"), "length");
  EXPECT_EQ(sweep.baseline, "Base ST-Net");
  EXPECT_EQ(sweep.runs[0].config.model.system, "base_st_seg");
  EXPECT_EQ(sweep.runs[1].config.model.system, "base_st_depth");
  EXPECT_EQ(sweep.runs[4].config.train.batch_size, 3);
  EXPECT_THAT(sweep.runs.back().axes, ElementsAre(Pair("model.system", "base_mt")));
}

TEST_F(SweepTest, ASeedOrAValueMoreOnlyAdds) {
  const std::string head = "base = \"base.toml\"\n";
  const std::string grid = "[grid]\nloss.lambda_1 = [0.1, 0.2]\n";
  const auto before = ids(read(head + "seeds = [1, 2]\n" + grid));
  const auto with_seed = ids(read(head + "seeds = [3, 1, 2]\n" + grid));
  const auto with_value = ids(read(head + "seeds = [1, 2]\n[grid]\nloss.lambda_1 = [0.1, 0.05, 0.2]\n"));
  EXPECT_EQ(before.size(), 4U);
  EXPECT_EQ(with_seed.size(), 6U);
  EXPECT_EQ(with_value.size(), 6U);
  EXPECT_TRUE(std::ranges::includes(with_seed, before));
  EXPECT_TRUE(std::ranges::includes(with_value, before));
  // How a value is written, where files go and how many threads work do not make another run; another value does.
  EXPECT_EQ(before, ids(read(head + "seeds = [2, 1]\n[set]\nrun.output = \"x\"\nrun.threads = 3\n"
                                    "[[point]]\nname = \"a\"\nloss.lambda_1 = 0.10\n[[point]]\nname = \"b\"\n"
                                    "loss.lambda_1 = 2e-1\n")));
  EXPECT_NE(before, ids(read(head + "seeds = [1, 2]\n[set]\ntrain.epochs = 3\n" + grid)));
}

TEST_F(SweepTest, IdsAreThoseOfTheTrainer) {
  EXPECT_THAT(
      ids(read("base = \"base.toml\"\n[[point]]\nname = \"x\"\nmodel.system = \"base_mt\"\n")),
      ElementsAre(run::run_id(config::read_run_config(folder_.path() / "base.toml", {"model.system=base_mt"}))));
}

TEST_F(SweepTest, RanksAreANumberOrLeftToTheMachine) {
  const auto ranks = [this](const std::string& lines) {
    return read("base = \"base.toml\"\n" + lines + "[grid]\nloss.lambda_1 = [0.1]\n").ranks;
  };
  EXPECT_EQ(ranks("").number, 1);
  EXPECT_EQ(ranks("ranks = \"auto\"\n").number, kAutoRanks);
  EXPECT_EQ(ranks("ranks = \"auto\"\n").most, 0);
  EXPECT_EQ(ranks("max_ranks = 2\nranks = \"auto\"\n").most, 2);
  EXPECT_EQ(ranks("max_ranks = 2\nranks = \"auto\"\n").number, kAutoRanks);
  EXPECT_THAT(faults("base = \"base.toml\"\nranks = 2\nmax_ranks = 2\n[grid]\nloss.lambda_1 = [0.1]\n"),
              ElementsAre("trial.toml:3:13: max_ranks goes with ranks = \"auto\""));
  EXPECT_THAT(faults("base = \"base.toml\"\nranks = \"all\"\n[grid]\nloss.lambda_1 = [0.1]\n"),
              ElementsAre("trial.toml:2:9: ranks must be an integer >= 1, or \"auto\""));
}

TEST_F(SweepTest, AProductThatNobodyWantsIsRefusedWithItsSize) {
  const auto axis = [](const char* key, int count) {
    std::string text = fmt::format("{} = [1", key);
    for (int value = 2; value <= count; ++value) {
      text += fmt::format(", {}", value);
    }
    return text + "]\n";
  };
  const std::string grid =
      "[grid]\n" + axis("train.epochs", 100) + axis("train.batch_size", 100) + axis("run.threads", 100);
  EXPECT_THAT(
      faults("base = \"base.toml\"\n" + grid),
      ElementsAre("trial.toml:2:1: the axes come to 1000000 runs (100 x 100 x 100), and 10000 are the most: take "
                  "fewer values, or let [random] draw rows from them"));
  EXPECT_THAT(faults("base = \"base.toml\"\nseeds = [1, 2, 3]\n[grid]\n" + axis("train.epochs", 100) +
                     axis("train.batch_size", 100)),
              ElementsAre(testing::HasSubstr("come to 30000 runs (100 x 100 x 3 seeds)")));
  EXPECT_EQ(read("base = \"base.toml\"\nseeds = [1, 2]\n[grid]\n" + axis("train.epochs", 50)).runs.size(), 100U);
}

TEST_F(SweepTest, EveryFaultIsToldAtOnceWithItsPlace) {
  std::vector<std::string_view> systems;
  std::ranges::transform(config::systems(), std::back_inserter(systems), &config::System::word);
  EXPECT_THAT(
      faults("base = \"base.toml\"\nsedes = [1]\nranks = 0\n[set]\ntrain.epoch = 2\n[grid]\n"
             "model.encodr = [\"resnet18\"]\nloss.lambda_1 = [0.1, 2.0, \"x\"]\nloss.depth = \"MSE\"\n"
             "[[point]]\nmodel.system = \"xtask\"\nepochs = 3\ntrain.epochs = \"3\"\n"
             "[[zip]]\nloss.lambda_1 = [0.1]\nloss.lambda_2 = [0.1, 0.2]\n[data_shape]\ntrain = 3\nhight = 2\n"),
      ElementsAre(
          "trial.toml:2:1: unknown key \"sedes\"; did you mean \"seeds\"?",
          "trial.toml:3:9: ranks must be an integer >= 1, or \"auto\"",
          "trial.toml:5:7: unknown key \"epoch\" in [train]; did you mean \"epochs\"?",
          "trial.toml:7:7: unknown key \"encodr\" in [model]; did you mean \"encoder\"?",
          "trial.toml:8:23: loss.lambda_1 must be a number >= 0 and <= 1, found the number 2",
          "trial.toml:8:28: loss.lambda_1 must be a number >= 0 and <= 1, found the string \"x\"",
          "trial.toml:9:14: loss.depth is an axis: a list of values is needed, loss.depth = [..., ...]",
          "trial.toml:10:1: a [[point]] needs a name, the row of its runs: name = \"XTasC-Net\"",
          fmt::format("trial.toml:11:16: model.system must be one of {} (did you mean \"xtasc\"?), found the string "
                      "\"xtask\"",
                      fmt::join(systems, ", ")),
          "trial.toml:12:1: \"epochs\" is no key of a config: section.key is needed, e.g. train.epochs",
          "trial.toml:13:16: train.epochs must be an integer >= 1, found the string \"3\"",
          "trial.toml:16:18: loss.lambda_2 has 2 values, loss.lambda_1 has 1: the axes of a [[zip]] move together",
          "trial.toml:19:1: unknown key \"hight\" in [data_shape]; did you mean \"height\"?",
          "trial.toml:17:1: [data_shape] lacks val", "trial.toml:17:1: [data_shape] lacks height",
          "trial.toml:17:1: [data_shape] lacks width", "trial.toml:17:1: [data_shape] lacks classes"));
}

TEST_F(SweepTest, WhatMayNotVaryIsRefused) {
  EXPECT_THAT(faults("base = \"base.toml\"\nseeds = [1]\n[grid]\nrun.output = [\"a\", \"b\"]\nrun.seed = [4]\n"
                     "[[point]]\nname = \"x\"\nrun.name = \"y\"\n"),
              ElementsAre("trial.toml:4:15: run.output may not differ between the runs of a sweep: it does not make "
                          "another run, only another folder; set it in [set]",
                          "trial.toml:5:13: run.seed stands here and in seeds: keep one",
                          "trial.toml:8:12: run.name may not differ between the runs of a sweep: it does not make "
                          "another run, only another folder; set it in [set]"));
  EXPECT_THAT(faults("base = \"base.toml\"\nseeds = [1]\n[grid]\nloss.lambda_1 = [0.1]\n",
                     {"run.seed=3", "loss.lambda_1=0.2", "train.epohcs=3"}),
              ElementsAre("--set train.epohcs=3: unknown key \"epohcs\" in [train]; did you mean \"epochs\"?"));
  EXPECT_THAT(
      faults("base = \"base.toml\"\nseeds = [1]\n[grid]\nloss.lambda_1 = [0.1]\n", {"run.seed=3", "loss.lambda_1=0.2"}),
      ElementsAre("--set run.seed=3: trial.toml:2:9 names the seeds",
                  "--set loss.lambda_1=0.2: the sweep varies loss.lambda_1: trial.toml:4:18"));
}

TEST_F(SweepTest, TwoPointsThatAreOneRunAreTold) {
  // base_mt has no transfer nets: lambda_1 means nothing to it.
  EXPECT_THAT(
      faults("base = \"base.toml\"\nseeds = [1, 2]\n[grid]\nmodel.system = [\"base_mt\", \"xtasc\"]\n"
             "loss.lambda_1 = [0.1, 0.2]\n"),
      ElementsAre(testing::MatchesRegex(
          "trial.toml:4:17: \"system = base_mt, lambda_1 = 0.1\" and \"system = base_mt, lambda_1 = 0.2\" are the "
          "same run, base_mt_resnet18-[0-9a-f]+: keep one, by \\[\\[exclude\\]\\] or by hand")));
  EXPECT_THAT(
      faults("base = \"base.toml\"\n[[point]]\nname = \"a\"\nmodel.system = \"xtasc\"\n"
             "[[point]]\nname = \"a\"\nmodel.system = \"align\"\n"),
      ElementsAre(
          "trial.toml:2:1: \"a\" names 2 different runs: only base_st_seg, base_st_depth and base_st (normals), "
          "or segnet (segmentation), segnet (depth) and segnet (normals), or stan (segmentation), stan (depth) "
          "and stan (normals), or deeplab (segmentation), deeplab (depth) and deeplab (normals) may share a "
          "row"));
}

TEST_F(SweepTest, WhatTheConfigRefusesIsToldWithTheRow) {
  EXPECT_THAT(
      faults(
          "base = \"base.toml\"\nseeds = [1, 2]\nbaseline = \"b\"\n[[point]]\nname = \"a\"\nweighting.alpha = 0.2\n"),
      ElementsAre(
          "trial.toml:4:1: \"a\": weighting.alpha = 0.2 says nothing to weighting.method = \"equal\": it is for "
          "gradnorm, fairgrad"));
  EXPECT_THAT(faults("base = \"none.toml\"\n[[point]]\nname = \"a\"\n"),
              ElementsAre("trial.toml:1:8: cannot read 'none.toml': No such file or directory"));
  EXPECT_THAT(faults("[[point]]\nname = \"a\"\n"),
              ElementsAre("trial.toml: base is missing: name the config that all runs start from, e.g. base = "
                          "\"../configs/nyuv2.toml\""));
}

TEST_F(SweepTest, NamesOfWhatIsNotThereAreRefused) {
  EXPECT_THAT(faults("base = \"base.toml\"\n[grid]\nloss.lambda_1 = [0.1]\n[axis_names]\nloss.lambda_2 = \"x\"\n"
                     "[value_names]\nloss.lambda_1.\"0.2\" = \"y\"\n[[exclude]]\nmodel.system = \"xtasc\"\n"),
              ElementsAre("trial.toml:8:1: model.system is no axis of this sweep",
                          "[axis_names]: loss.lambda_2 is no axis of this sweep; did you mean \"loss.lambda_1\"?",
                          "[value_names]: the axis loss.lambda_1 has no value 0.2"));
  EXPECT_THAT(faults("base = \"base.toml\"\nbaseline = \"XTask-Net\"\n[[point]]\nname = \"XTasC-Net\"\n"),
              ElementsAre("trial.toml:2:12: the baseline \"XTask-Net\" is no row of this sweep; did you mean "
                          "\"XTasC-Net\"?"));
  EXPECT_THAT(faults("base = \"base.toml\"\n[grid]\nloss.lambda_1 = [0.1]\n[[exclude]]\nloss.lambda_1 = 0.3\n"),
              ElementsAre("trial.toml:4:1: this [[exclude]] leaves nothing out"));
  EXPECT_THAT(faults("base = \"base.toml\"\n[grid]\nloss.lambda_1 = [0.1]\n[[exclude]]\n"),
              ElementsAre("trial.toml:4:1: this [[exclude]] names no key, so it would leave out every combination"));
  EXPECT_THAT(faults("base = \"base.toml\"\n[grid]\n"),
              ElementsAre("trial.toml:2:1: [grid] has no axis: give keys and lists of values, or leave it out"));
  EXPECT_THAT(faults("base = \"base.toml\"\n[grid]\nloss.lambda_1 = [0.1]\n[[exclude]]\nloss.lambda_1 = 0.1\n"),
              ElementsAre("trial.toml: every combination is excluded, nothing is left to run"));
}

/// The rows of the sweeps that come with the source, with the number of runs of each.
TEST(SweepFiles, HaveTheRowsOfTheirTables) {
  using Rows = std::vector<std::string>;
  const Rows models = {"Base ST-Net", "Base MT-Net", "Align-Net", "XTasC-Net"};
  const Rows encoders = {"resnet18", "resnet34", "resnet34, pretrained", "resnet50", "resnet101", "resnet152"};
  const Rows weightings = {"Base ST-Net",      "Base MT-Net, equal",     "Base MT-Net, uncertainty",
                           "XTasC-Net, equal", "XTasC-Net, uncertainty", "XTasC-Net, gradnorm"};
  for (const auto& [name, expected, num_runs] : {std::tuple{"table_I", models, 15U},
                                                 {"table_III", models, 15U},
                                                 {"table_V", encoders, 18U},
                                                 {"table_VI", encoders, 18U},
                                                 {"table_VII", weightings, 21U},
                                                 {"table_VIII", weightings, 21U},
                                                 {"smoke", Rows{"Base ST-Net", "Base MT-Net", "XTasC-Net"}, 8U}}) {
    const Sweep sweep = read_sweep(fs::path(XTASC_SOURCE_DIR) / "sweeps" / (std::string(name) + ".toml"));
    EXPECT_EQ(sweep.name, name);
    EXPECT_EQ(rows(sweep), expected) << name;
    EXPECT_EQ(sweep.runs.size(), num_runs) << name;
    for (const PlannedRun& run : sweep.runs) {
      const bool is_table_of_models = sweep.name == "table_I" || sweep.name == "table_III";
      const bool is_base_st = run.row == "Base ST-Net";
      EXPECT_EQ(run.config.weighting.method == "equal", is_base_st || run.row.ends_with(", equal")) << run.row;
      EXPECT_TRUE(!is_table_of_models || run.config.model.encoder == config::Encoder::resnet34);
      EXPECT_EQ(run.config.model.encoder_weights.empty(), run.row != "resnet34, pretrained");
    }
  }
}

TEST(SweepFiles, HaveTheSettingsOfTheirDataSets) {
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(XTASC_SOURCE_DIR) / "sweeps")) {
    if (entry.path().extension() != ".toml") {
      continue;
    }
    const Sweep sweep = read_sweep(entry.path());
    const bool is_nyuv2 = sweep.base.filename() == "nyuv2.toml";
    if (!is_nyuv2 && sweep.base.filename() != "cityscapes.toml") {
      continue;
    }
    ASSERT_TRUE(sweep.data) << sweep.name;
    EXPECT_EQ(sweep.data->train, is_nyuv2 ? 795 : 2975);
    EXPECT_EQ(sweep.data->val, is_nyuv2 ? 654 : 500);
    EXPECT_EQ(sweep.data->height, is_nyuv2 ? 288 : 128);
    EXPECT_EQ(sweep.data->width, is_nyuv2 ? 384 : 256);
    EXPECT_EQ(sweep.data->classes, is_nyuv2 ? 13 : 7);
    for (const PlannedRun& run : sweep.runs) {
      const config::RunConfig& c = run.config;
      if (config::system_of(c.model).network != "xtasc") {
        continue;  // of other authors, with their settings
      }
      EXPECT_EQ(c.train.epochs, is_nyuv2 ? 100 : 250);
      EXPECT_EQ(c.train.batch_size, is_nyuv2 ? 6 : 8);
      EXPECT_EQ(c.train.lr_step, is_nyuv2 ? 60 : 80);
      EXPECT_EQ(c.train.learning_rate, 1e-4);
      if (config::system_of(c.model).has_transfer() && sweep.axes.empty()) {
        EXPECT_EQ(c.loss.lambda_1, is_nyuv2 ? 0.0001 : 0.01);
        EXPECT_EQ(c.loss.lambda_2, is_nyuv2 ? 0.0001 : 0.01);
      }
    }
  }
}

TEST(SweepFiles, LambdaBothAlikeAndEachAlone) {
  for (const char* name : {"lambda_cityscapes.toml", "lambda_nyuv2.toml"}) {
    const Sweep sweep = read_sweep(fs::path(XTASC_SOURCE_DIR) / "sweeps" / name);
    std::set<std::pair<double, double>> pairs;
    for (const PlannedRun& run : sweep.runs) {
      EXPECT_EQ(run.config.weighting.method, "uncertainty");
      pairs.emplace(run.config.loss.lambda_1, run.config.loss.lambda_2);
    }
    std::set<std::pair<double, double>> expected = {{0.0, 0.0}};
    for (const double lambda : {1e-5, 1e-4, 1e-3, 1e-2, 1e-1}) {
      expected.insert({{lambda, lambda}, {lambda, 0.0}, {0.0, lambda}});
    }
    EXPECT_EQ(pairs, expected) << name;
    EXPECT_EQ(sweep.baseline, "lambda_1 = 0.0, lambda_2 = 0.0");
  }
}

TEST(SweepFiles, VariantsOfThe2021Code) {
  const Sweep sweep = read_sweep(fs::path(XTASC_SOURCE_DIR) / "sweeps/variants_cityscapes.toml");
  const auto has = [&](const auto& is_it) { return std::ranges::any_of(sweep.runs, is_it); };
  using Run = PlannedRun;
  using config::DepthLoss;
  for (const DepthLoss loss : {DepthLoss::l1, DepthLoss::mse, DepthLoss::log_l1, DepthLoss::smooth_l1}) {
    EXPECT_TRUE(has([loss](const Run& run) { return run.config.loss.depth == loss; }));
  }
  EXPECT_TRUE(has([](const Run& r) { return r.config.loss.transferred_depth == config::TransferredDepthLoss::ssim; }));
  EXPECT_TRUE(has([](const Run& run) {
    return run.config.loss.transferred_segmentation == config::TransferredSegmentationLoss::kl;
  }));
  EXPECT_TRUE(has([](const Run& run) { return run.config.loss.label_smoothing == 0.1; }));
  EXPECT_TRUE(has([](const Run& run) { return run.config.model.ttnet_widths[2] == 512; }));
  EXPECT_TRUE(has([](const Run& run) { return run.config.model.ttnet_batch_norm; }));
  EXPECT_TRUE(has([](const Run& run) { return !run.config.model.encoder_weights.empty(); }));
}

}  // namespace
}  // namespace xtasc::sweep
