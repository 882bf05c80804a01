// What a sweep's runs cost, what became of them, and the pieces that start them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <optional>

#include "core/error.hpp"
#include "core/process.hpp"
#include "net/work.hpp"
#include "sweep/cost.hpp"
#include "sweep/local/slots.hpp"
#include "sweep/select.hpp"
#include "sweep/state.hpp"
#include "sweep/sweep_fixture.hpp"
#include "sweep/work.hpp"

namespace xtasc::sweep {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

config::RunConfig config_of(std::vector<std::string> assignments) {
  return config::run_config_of(assignments);
}

/// PERFORMANCE.md's figures, to their last digit: ResNet-34, XTasC-Net.
TEST(Work, MultiplyAddsOfAStep) {
  const net::ImageWork cityscapes = net::work_of_image(config_of({}), 128, 256, 7);
  EXPECT_NEAR(8 * cityscapes.forward / 1e9, 286.05, 0.005);
  EXPECT_NEAR(8 * cityscapes.step / 1e9, 857.5, 0.05);
  const net::ImageWork nyuv2 = net::work_of_image(config_of({}), 288, 384, 13);
  EXPECT_NEAR(6 * nyuv2.forward / 1e9, 727.1, 0.05);
  EXPECT_NEAR(6 * nyuv2.step / 1e9, 2179.8, 0.05);
}

/// torchvision's published multiply-adds at 224 x 224, without the classifier's half of a million or two.
TEST(Work, EncodersAreTorchvisions) {
  const auto encoder = [](const char* name, std::int64_t decoder_width) {
    return net::work_of_image(config_of({"model.system=base_st_depth", fmt::format("model.encoder={}", name),
                                         fmt::format("model.decoder_width={}", decoder_width)}),
                              224, 224, 1)
        .forward;
  };
  for (const auto& [name, giga] : {std::pair{"resnet18", 1.814},
                                   {"resnet34", 3.664},
                                   {"resnet50", 4.089},
                                   {"resnet101", 7.801},
                                   {"resnet152", 11.514}}) {
    // The decoder's work is a polynomial of degree two in its width: three points give its value at no width.
    const double at_zero = 3 * encoder(name, 1) - 3 * encoder(name, 2) + encoder(name, 3);
    EXPECT_NEAR(at_zero / 1e9, giga, 0.003) << name;
  }
}

TEST(Work, MethodsThatCombineGradientsGoThroughTheEncoderTwice) {
  const auto step = [](const char* method) {
    return net::work_of_image(config_of({fmt::format("weighting.method={}", method)}), 64, 64, 7).step;
  };
  EXPECT_EQ(step("uncertainty"), step("equal"));
  EXPECT_GT(step("pcgrad"), step("equal"));
  EXPECT_GT(step("famo"), step("pcgrad"));
}

TEST(Work, AWholeRun) {
  const DataShape data{.train = 10, .val = 4, .height = 64, .width = 64, .classes = 7};
  const auto config = config_of({"train.epochs=3", "train.batch_size=4"});
  const net::ImageWork work = net::work_of_image(config, 64, 64, 7);
  EXPECT_DOUBLE_EQ(flop_of_run(config, data), 2 * 3 * (10 * work.step + 4 * work.forward));
  EXPECT_EQ(epochs_of(config, data), 3.0);
  // Three steps an epoch: four end it in the second.
  EXPECT_DOUBLE_EQ(epochs_of(config_of({"train.epochs=3", "train.batch_size=4", "train.max_steps=4"}), data), 4.0 / 3);
}

/// Without the images that are held out, which judge each epoch; the validation split judges two at the end.
TEST(Work, OfARunThatHoldsImagesOut) {
  const DataShape data{.train = 10, .val = 4, .height = 64, .width = 64, .classes = 7};
  const auto config = config_of({"train.epochs=3", "train.batch_size=4", "data.holdout=0.25"});
  const net::ImageWork work = net::work_of_image(config, 64, 64, 7);  // 2.5 of 10 are 3
  EXPECT_DOUBLE_EQ(flop_of_run(config, data), 2 * (3 * (7 * work.step + 3 * work.forward) + 2 * 4 * work.forward));
  EXPECT_DOUBLE_EQ(epochs_of(config_of({"train.batch_size=4", "data.holdout=0.25", "train.max_steps=3"}), data), 1.5);
}

TEST_F(SweepRuns, CostIsMeasuredThenModelledThenUnknown) {
  const PlannedRun& measured = sweep_.runs[0];
  write_run(measured, 3, false);
  const CostModel without_rate(folder_.path() / "runs", 0.0);
  const RunCost own = without_rate.cost_of(sweep_, measured);
  EXPECT_EQ(own.source, CostSource::measured);
  EXPECT_DOUBLE_EQ(own.seconds, 40.0);
  EXPECT_EQ(own.ranks, 2);
  EXPECT_DOUBLE_EQ(own.rank_hours(), 80.0 / 3600);
  const RunCost other_seed = without_rate.cost_of(sweep_, sweep_.runs[1]);
  EXPECT_EQ(other_seed.source, CostSource::measured);
  EXPECT_EQ(other_seed.from, measured.id);
  EXPECT_EQ(without_rate.cost_of(sweep_, sweep_.runs[2]).source, CostSource::unknown);
  EXPECT_GT(without_rate.cost_of(sweep_, sweep_.runs[2]).flop.value(), 0.0);

  const CostModel with_rate(folder_.path() / "runs", 1e12);
  const RunCost modelled = with_rate.cost_of(sweep_, sweep_.runs[2]);
  EXPECT_EQ(modelled.source, CostSource::modelled);
  EXPECT_DOUBLE_EQ(modelled.seconds, *modelled.flop / 1e12);

  const Sweep longer = read_sweep(folder_.path() / "trial.toml", {"train.epochs=8", "loss.lambda_1=0.5"});
  const RunCost similar = without_rate.cost_of(longer, longer.runs[0]);
  EXPECT_EQ(similar.source, CostSource::similar);
  EXPECT_DOUBLE_EQ(similar.seconds, 80.0);
  const Sweep wider = read_sweep(folder_.path() / "trial.toml", {"model.decoder_width=64"});
  EXPECT_EQ(without_rate.cost_of(wider, wider.runs[0]).source, CostSource::unknown);
}

TEST_F(SweepRuns, SelectionByIdAndRow) {
  EXPECT_EQ(select(sweep_, {}).size(), 4U);
  EXPECT_EQ(select(sweep_, {"XTasC"}).size(), 2U);
  EXPECT_EQ(select(sweep_, {"base_mt*", "XTasC-Net"}).size(), 4U);
  EXPECT_EQ(select(sweep_, {sweep_.runs[3].id}).front(), &sweep_.runs[3]);
  Sweep encoders = sweep_;
  encoders.runs[0].row = "resnet34";
  encoders.runs[1].row = "resnet34, pretrained";
  EXPECT_EQ(select(encoders, {"resnet34"}).size(), 1U) << "a whole name is not taken for a part of another";
  EXPECT_EQ(select(encoders, {"resnet3"}).size(), 2U);
  try {
    static_cast<void>(select(sweep_, {"align"}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "--only align: no run's id or row is like that; rows are XTasC-Net; Base MT-Net");
  }
}

TEST_F(SweepRuns, TheFrozenProgramAndConfigStayAsTheyWere) {
  const fs::path trainer = folder_.path() / "xtasc-train";
  std::ofstream(trainer) << "one";
  const fs::path first = freeze_trainer(files_, trainer);
  EXPECT_EQ(freeze_trainer(files_, trainer), first);
  std::ofstream(trainer) << "two";
  const fs::path second = freeze_trainer(files_, trainer);
  EXPECT_NE(first, second);
  EXPECT_EQ(test::read_text(first), "one");
  EXPECT_EQ(test::read_text(second), "two");
  EXPECT_EQ(::access(first.c_str(), X_OK), 0);
  const fs::path config = freeze_config(files_, sweep_.runs[0]);
  EXPECT_EQ(config::to_toml(config::read_run_config(config), false), config::to_toml(sweep_.runs[0].config, false));
}

TEST(Slots, CoresAndGpusAreDivided) {
  const auto cores = [](std::int64_t jobs) {
    std::vector<std::vector<int>> all;
    for (const Slot& slot : divide({4, 5, 6, 7, 8}, {}, jobs)) {
      all.push_back(slot.cores);
    }
    return all;
  };
  using Cores = std::vector<std::vector<int>>;
  EXPECT_EQ(cores(1), (Cores{{4, 5, 6, 7, 8}}));
  EXPECT_EQ(cores(2), (Cores{{4, 5}, {6, 7, 8}}));
  EXPECT_EQ(cores(7), (Cores{{4}, {5}, {6}, {7}, {8}, {4}, {5}}));
  EXPECT_THAT(divide({0}, {"0", "1", "2", "3"}, 2)[1].gpus, ElementsAre("2", "3"));
  EXPECT_THAT(divide({0}, {"0", "1"}, 3)[2].gpus, ElementsAre("0"));
}

/// Ranks of a run with max_ranks = 2 and a batch of 8 on a machine with some GPUs and 16 cores.
std::int64_t ranks_with(std::size_t num_gpus, std::int64_t jobs, const std::vector<std::string>& assignments) {
  const std::vector<int> cores(16);
  const Slot slot = divide(cores, std::vector<std::string>(num_gpus, "GPU"), jobs).front();
  const config::RunConfig config = config_of(assignments);
  return ranks_in(slot_for(config, slot), {.number = kAutoRanks, .most = 2}, config);
}

TEST(Slots, AutomaticRanksAreOneForEachGpuElseForEachCore) {
  EXPECT_EQ(ranks_with(0, 1, {}), 2);
  EXPECT_EQ(ranks_with(1, 1, {}), 1);
  EXPECT_EQ(ranks_with(2, 1, {}), 2);
  EXPECT_EQ(ranks_with(8, 1, {}), 2);
  EXPECT_EQ(ranks_with(8, 8, {}), 1) << "eight runs at a time have a GPU each";
  EXPECT_EQ(ranks_with(1, 3, {}), 1) << "three runs share one";
  EXPECT_EQ(ranks_with(0, 16, {}), 1);
  EXPECT_EQ(ranks_with(1, 1, {"run.device=cpu"}), 2) << "a run on the CPU does not care about GPUs";
  EXPECT_EQ(ranks_with(8, 1, {"train.batch_size=1"}), 1) << "a rank without an image has nothing to do";

  const config::RunConfig config = config_of({});
  const Slot slot{.cores = {0}, .gpus = {"0", "1", "2", "3", "4", "5", "6", "7"}};
  EXPECT_EQ(ranks_in(slot, {.number = kAutoRanks}, config), 8);
  EXPECT_EQ(ranks_in(slot, {.number = 3}, config), 3) << "a number stays a number";
  EXPECT_EQ(ranks_in({.cores = {}, .gpus = {}}, {.number = kAutoRanks}, config), 1);
}

TEST(Slots, GpusAreCountedAsCudaDoes) {
  const test::TempFolder devices;
  for (const char* name : {"nvidia3", "nvidia5", "nvidiactl", "nvidia-uvm", "nvidia"}) {
    std::ofstream(devices.path() / name) << "";
  }
  const char* before = std::getenv("CUDA_VISIBLE_DEVICES");
  const std::optional<std::string> restored = before == nullptr ? std::nullopt : std::optional<std::string>(before);
  ::unsetenv("CUDA_VISIBLE_DEVICES");
  EXPECT_THAT(visible_gpus(devices.path()), ElementsAre("0", "1"));
  EXPECT_THAT(visible_gpus(devices.path() / "none"), ElementsAre());
  const auto given = [&](const char* list) {
    ::setenv("CUDA_VISIBLE_DEVICES", list, 1);
    return visible_gpus(devices.path());
  };
  EXPECT_THAT(given("3,GPU-7e1d"), ElementsAre("3", "GPU-7e1d"));
  EXPECT_THAT(given(""), ElementsAre());
  EXPECT_THAT(given("-1"), ElementsAre());
  EXPECT_THAT(given("1,-1,0"), ElementsAre("1"));
  restored ? ::setenv("CUDA_VISIBLE_DEVICES", restored->c_str(), 1) : ::unsetenv("CUDA_VISIBLE_DEVICES");
}

TEST(Slots, RanksAreBoundWhereEachHasACoreOfItsOwn) {
  const auto is_bound = [](const Slot& slot, std::int64_t ranks, bool is_alone) {
    return testing::Matches(testing::Contains("core"))(launcher(slot, ranks, is_alone));
  };
  EXPECT_TRUE(is_bound({.cores = {0, 1}, .gpus = {}}, 2, true));
  EXPECT_FALSE(is_bound({.cores = {0, 1}, .gpus = {}}, 1, true)) << "the second core would idle";
  EXPECT_FALSE(is_bound({.cores = {0, 1}, .gpus = {"0", "1"}}, 2, true))
      << "a GPU's rank has threads beside its main one";
  EXPECT_FALSE(is_bound({.cores = {0, 1}, .gpus = {}}, 2, false)) << "two mpiruns would bind to the same cores";
}

}  // namespace
}  // namespace xtasc::sweep
