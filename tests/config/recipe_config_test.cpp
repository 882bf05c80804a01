// The keys of optimizers, schedules and the selection of the best epoch: which say something beside which others.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "core/error.hpp"

namespace xtasc::config {
namespace {

std::string refusal_of(const std::vector<std::string>& assignments) {
  try {
    static_cast<void>(run_config_of(assignments));
    return "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
}

TEST(RecipeKeys, OfAnotherRecipeAreRefused) {
  EXPECT_EQ(refusal_of({"train.momentum=0.5"}),
            "train.momentum = 0.5 says nothing to train.optimizer = \"adam\": it is for sgd");
  EXPECT_EQ(refusal_of({"train.optimizer=sgd", "train.betas=[0.9, 0.99]"}),
            "train.betas = [0.9, 0.99] says nothing to train.optimizer = \"sgd\": it is for adam, adamw");
  EXPECT_EQ(refusal_of({"train.schedule=cosine", "train.poly_power=2"}),
            "train.poly_power = 2 says nothing to train.schedule = \"cosine\": it is for poly");
  EXPECT_EQ(refusal_of({"train.optimizer=sdg"}),
            "--set train.optimizer=sdg: train.optimizer must be one of adam, adamw, sgd (did you mean \"sgd\"?), found "
            "\"sdg\"");
  EXPECT_EQ(refusal_of({"train.batch_size=4", "train.accumulate=5"}),
            "train.accumulate = 5 would cut a batch of 4 images (train.batch_size) into more pieces than it has");
  EXPECT_EQ(refusal_of({"data.holdout=1"}),
            "--set data.holdout=1: data.holdout must be a number >= 0 and < 1, found the integer 1");
  EXPECT_EQ(refusal_of({"train.schedule=constant", "train.lr_step=3"}), "accepted");  // as data sets' files have it
}

TEST(RecipeKeys, Resolve) {
  const RunConfig sgd = run_config_of({"train.optimizer=sgd", "train.momentum=0.8"});
  EXPECT_TRUE(sgd.train.betas.empty());
  EXPECT_EQ(run_config_of({"train.optimizer=adamw"}).train.betas, (std::vector<double>{0.9, 0.99}));
  EXPECT_EQ(run_config_of({"train.optimizer=sgd", "model.system=kd4mtl"}).train.betas,
            (std::vector<double>{0.9, 0.999}));  // of the adaptors' Adam
  EXPECT_EQ(run_config_of({"data.holdout=0.1"}).data.num_held_out(48), 5);
}

TEST(RecipeKeys, AreInTheIdentityWhereTheySaySomething) {
  const auto identity_of = [](const std::vector<std::string>& assignments) {
    return identity_text(run_config_of(assignments));
  };
  const std::string sgd = identity_of({"train.optimizer=sgd", "train.momentum=0.8"});
  EXPECT_NE(sgd.find("train.optimizer = \"sgd\"\ntrain.momentum = 0.8\n"), std::string::npos);
  EXPECT_EQ(sgd.find("betas"), std::string::npos);
  EXPECT_EQ(identity_of({"train.schedule=cosine", "train.lr_step=3"}), identity_of({"train.schedule=cosine"}));
  for (const char* assignment : {"data.holdout=0.1", "train.patience=3", "train.accumulate=2", "train.clip_norm=1",
                                 "train.warmup_steps=5", "train.schedule=constant", "train.optimizer=adamw"}) {
    EXPECT_NE(identity_of({assignment}), identity_of({})) << assignment;
  }
}

}  // namespace
}  // namespace xtasc::config
