#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "core/error.hpp"

// The keys of [weighting] that hang on the method.
namespace xtasc::config {
namespace {

std::string refusal(const std::vector<std::string>& assignments) {
  try {
    static_cast<void>(run_config_of(assignments));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "accepted";
}

TEST(WeightingConfig, DefaultsOfAWeightingMethodAreItsRows) {
  const auto weighting = [](std::vector<std::string> more) { return run_config_of(more).weighting; };
  EXPECT_EQ(weighting({"weighting.method=fairgrad"}).alpha, 2.0);
  EXPECT_EQ(weighting({"weighting.alpha=0.7", "weighting.method=fairgrad"}).alpha, 0.7);  // in any order
  EXPECT_EQ(weighting({"weighting.method=gradnorm"}).alpha, 0.16);
  EXPECT_EQ(weighting({"weighting.method=nash"}).heads, HeadGradients::weighted);
  EXPECT_EQ(weighting({"weighting.method=nash", "weighting.heads=plain"}).heads, HeadGradients::plain);
  EXPECT_EQ(weighting({"weighting.method=mgda"}).scale, FactorScale::mean);
  EXPECT_EQ(weighting({"weighting.method=fixed"}).weights, (std::vector<double>{1.0, 1.0}));
  // What a run is known by: its method, and no default.
  const auto id = [](std::vector<std::string> more) { return identity_text(run_config_of(more)); };
  EXPECT_THAT(id({"weighting.method=mgda"}), testing::HasSubstr("weighting.method = \"mgda\"\n"));
  EXPECT_THAT(id({"weighting.method=mgda"}), testing::Not(testing::HasSubstr("weighting.scale")));
  EXPECT_EQ(id({"weighting.method=fairgrad", "weighting.alpha=2.0"}), id({"weighting.method=fairgrad"}));
  EXPECT_THAT(id({"weighting.method=fairgrad", "weighting.alpha=0.5"}), testing::HasSubstr("weighting.alpha = 0.5\n"));
  EXPECT_THAT(id({"weighting.method=mgda", "weighting.scale=sum"}), testing::HasSubstr("weighting.scale = \"sum\"\n"));
  // Printed and set again it is the same.
  const RunConfig printed = run_config_of({"weighting.method=db_mtl", "weighting.scale=mean"});
  std::vector<std::string> again;
  for (const auto& [key, value] : all_keys(printed)) {
    again.push_back(key + "=" + value);
  }
  EXPECT_EQ(to_toml(run_config_of(again), true), to_toml(printed, true));
}

/// As in a printed config: values that repeat the defaults of the file's method are no choice under another one.
TEST(WeightingConfig, AFileThatListsEveryKeyKeepsNoOtherMethodsDefaults) {
  const auto path = std::filesystem::path(testing::TempDir()) / "every_key.toml";
  const auto of_file = [&](const std::string& printed, const std::string& method, std::vector<std::string> more = {}) {
    std::ofstream(path) << printed;
    more.push_back("weighting.method=" + method);
    return read_run_config(path, more);
  };
  const std::string of_equal = to_toml(RunConfig{}, true);
  for (const char* method : {"fairgrad", "nash", "db_mtl", "rlw", "upgrad", "uw_so", "mgda", "famo"}) {
    const RunConfig expected = run_config_of({std::string("weighting.method=") + method});
    EXPECT_EQ(to_toml(of_file(of_equal, method), true), to_toml(expected, true)) << method;
  }
  const std::string of_rlw = to_toml(run_config_of({"weighting.method=rlw"}), true);  // scale = "mean"
  EXPECT_EQ(of_file(of_rlw, "pcgrad").weighting.scale, FactorScale::sum);
  // What the file chose stays chosen, and so does what comes with the method.
  const std::string chosen = to_toml(run_config_of({"weighting.method=pcgrad", "weighting.heads=weighted"}), true);
  EXPECT_EQ(of_file(chosen, "cagrad").weighting.heads, HeadGradients::weighted);
  EXPECT_EQ(of_file(of_equal, "nash", {"weighting.heads=plain"}).weighting.heads, HeadGradients::plain);
  std::filesystem::remove(path);
}

TEST(WeightingConfig, WhatAMethodCannotDoIsRefused) {
  EXPECT_THAT(refusal({"weighting.method=fairgrad", "weighting.alpha=20"}),
              testing::HasSubstr("must be 0, or between 0.5 and 5"));
  EXPECT_EQ(refusal({"weighting.method=fairgrad", "weighting.alpha=0"}), "accepted");
  EXPECT_THAT(refusal({"weighting.method=moco", "weighting.beta=0"}), testing::HasSubstr("a number > 0 and <= 1"));
  EXPECT_THAT(refusal({"weighting.method=db_mtl", "weighting.beta=1"}), testing::HasSubstr("a number >= 0 and < 1"));
  EXPECT_EQ(refusal({"weighting.method=stch", "train.epochs=5"}),
            "weighting.warm_up_epochs = 4 leaves stch none of train.epochs = 5: its first is epoch 6");
  EXPECT_EQ(refusal({"weighting.method=stch", "train.epochs=6"}), "accepted");
}

TEST(WeightingConfig, WeightsAreOneATask) {
  EXPECT_EQ(refusal({"weighting.method=fixed", "weighting.weights=[0.5, 1.5]"}), "accepted");
  EXPECT_EQ(refusal({"weighting.method=fixed", "weighting.weights=[0.5]"}),
            "weighting.weights has 1 value, but there are 2 tasks: seg, depth");
  EXPECT_EQ(refusal({"weighting.method=fixed", "weighting.weights=[0, 0.0]"}),
            "weighting.weights are all 0: nothing would be learnt");
  EXPECT_THAT(refusal({"weighting.method=fixed", "weighting.weights=[-1, 1]"}),
              testing::HasSubstr("must be a list of numbers >= 0"));
  EXPECT_EQ(refusal({"weighting.weights=[1, 2]"}),
            "weighting.weights = [1.0, 2.0] says nothing to weighting.method = \"equal\": it is for fixed");
  EXPECT_EQ(
      refusal({"weighting.method=pcgrad", "weighting.parameters=all", "weighting.heads=weighted"}),
      "weighting.heads = \"weighted\" says nothing beside weighting.parameters = \"all\", which combines what is each "
      "task's own, too");
  EXPECT_EQ(refusal({"model.system=base_st_seg", "weighting.method=fixed", "weighting.weights=[1, 2]"}), "accepted");
}

}  // namespace
}  // namespace xtasc::config
