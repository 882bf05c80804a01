#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "config/run_config.hpp"
#include "config/systems.hpp"
#include "core/error.hpp"

namespace xtasc::config {
namespace {

namespace fs = std::filesystem;

class ConfigFile : public testing::Test {
 protected:
  void SetUp() override {
    path_ = fs::path(testing::TempDir()) /
            ("config_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + ".toml");
  }
  void TearDown() override { fs::remove(path_); }

  RunConfig read(const std::string& text, const std::vector<std::string>& assignments = {}) {
    std::ofstream(path_) << text;
    return read_run_config(path_, assignments);
  }

  /// The message that the text is refused with; the path is left out of it.
  std::string refusal(const std::string& text, const std::vector<std::string>& assignments = {}) {
    try {
      read(text, assignments);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      std::string message = error.what();
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      if (const auto at = message.find(path_.string()); at != std::string::npos) {
        message.erase(at, path_.string().size());
      }
      return message;
    }
    return "accepted";
  }

  fs::path path_;
};

TEST_F(ConfigFile, ValuesOverrideDefaultsAndAssignmentsOverrideBoth) {
  const RunConfig c =
      read("[train]\nepochs = 3\nbatch_size = 4\n[model]\nencoder = \"resnet50\"\n",
           {"train.epochs=9", "run.precision=bf16", "data.flip=false", "train.betas=[0.5, 0.6]", "loss.lambda_1=1"});
  EXPECT_EQ(c.train.epochs, 9);
  EXPECT_EQ(c.train.batch_size, 4);
  EXPECT_EQ(c.model.encoder, Encoder::resnet50);
  EXPECT_EQ(c.run.precision, Precision::bf16);
  EXPECT_FALSE(c.data.flip);
  EXPECT_EQ(c.train.betas, (std::vector<double>{0.5, 0.6}));
  EXPECT_EQ(c.loss.lambda_1, 1.0);
}

TEST_F(ConfigFile, RefusalsSayWhereAndWhat) {
  EXPECT_EQ(refusal("[model]\nencodr = \"resnet18\"\n"),
            ":2:1: unknown key \"encodr\" in [model]; did you mean \"encoder\"?");
  EXPECT_EQ(refusal("[modell]\n"), ":1:2: unknown section [modell]; did you mean \"model\"?");
  EXPECT_EQ(refusal("\n[train]\nepochs = \"ten\"\n"),
            ":3:10: train.epochs must be an integer >= 1, found the string \"ten\"");
  EXPECT_EQ(refusal("[train]\nepochs = 0\n"), ":2:10: train.epochs must be an integer >= 1, found the integer 0");
  EXPECT_EQ(refusal("[run]\nstall_seconds = 9223372036854775807\n"),
            ":2:17: run.stall_seconds must be an integer >= 0 and <= 31536000, found the integer 9223372036854775807");
  EXPECT_EQ(refusal("", {"run.threads=5000"}),
            "--set run.threads=5000: run.threads must be an integer >= 0 and <= 4096, found the integer 5000");
  EXPECT_EQ(refusal("", {"run.seed=9223372036854775807"}), "accepted");
  EXPECT_EQ(refusal("[run]\nname = \"a\\u001bb\"\n"), "run.name must be a plain file name, found \"a\\x1bb\"");
  EXPECT_EQ(refusal("[train]\nlearning_rate = nan\n"),
            ":2:17: train.learning_rate must be a number > 0, found the number nan");
  EXPECT_EQ(refusal("[loss]\nlambda_1 = 1.5\n"),
            ":2:12: loss.lambda_1 must be a number >= 0 and <= 1, found the number 1.5");
  EXPECT_EQ(refusal("[model]\nencoder = \"resnet35\"\n"),
            ":2:11: model.encoder must be one of resnet18, resnet34, resnet50, resnet101, resnet152 (did you mean "
            "\"resnet34\"?),"
            " found the string \"resnet35\"");
  EXPECT_EQ(refusal("[model]\nttnet_widths = [1, 2]\n"),
            ":2:16: model.ttnet_widths must be a list of 3 integers >= 1, found the list [1, 2]");
  EXPECT_EQ(refusal("[model]\ntasks = [\"depth\", \"depth\"]\n"),
            ":2:9: model.tasks must be a list of some of segmentation, depth, normals, each once, found the list "
            "[\"depth\", \"depth\"]");
  EXPECT_EQ(refusal("epochs = 3\n"),
            ":1:1: key \"epochs\" stands outside of any section; sections are run, data, model, loss, distillation, "
            "weighting, train, evaluate");
  EXPECT_NE(refusal("[train]\nepochs = 3\nepochs = 4\n").find(":3:"), std::string::npos);
  EXPECT_NE(refusal("[train\n").find(":1:"), std::string::npos);
}

TEST_F(ConfigFile, AssignmentsGoThroughTheSameReader) {
  EXPECT_EQ(refusal("", {"train.epoch=3"}),
            "--set train.epoch=3: unknown key \"epoch\" in [train]; did you mean \"epochs\"?");
  EXPECT_EQ(refusal("", {"train.epochs=x"}), "--set train.epochs=x: train.epochs must be an integer >= 1, found \"x\"");
  EXPECT_EQ(refusal("", {"train.epochs=1\nrun.seed=3"}), "--set: an assignment is one line of text");
  EXPECT_EQ(refusal("", {"epochs"}), "--set epochs: expected section.key=value, e.g. --set train.epochs=10");
  EXPECT_EQ(read("", {"run.name=2024"}).run.name, "2024");
  EXPECT_EQ(read("", {"run.name=\"a b\""}).run.name, "a b");
}

TEST_F(ConfigFile, HostileTextIsRefusedNotFatal) {
  EXPECT_NE(refusal(std::string("[\x01")), "accepted");
  EXPECT_NE(refusal(std::string(200000, 'a')), "accepted");
  EXPECT_NE(refusal("a" + std::string(30000, '.') + "b = 1"), "accepted");
  std::string nested;
  for (int i = 0; i < 20000; ++i) {
    nested += "[";
  }
  EXPECT_NE(refusal("a = " + nested), "accepted");
  EXPECT_NE(refusal("a = \xff\xfe"), "accepted");
}

TEST_F(ConfigFile, PrintedConfigReadsBackTheSame) {
  const RunConfig c = read("", {"model.system=base_st_seg", "train.learning_rate=0.1", "run.output=a \"b\" \\c",
                                "model.ttnet_widths=[1,2,3]"});
  for (const bool documented : {false, true}) {
    EXPECT_EQ(to_toml(read(to_toml(c, documented)), false), to_toml(c, false));
  }
}

TEST_F(ConfigFile, ResolvesWhatFollowsFromTheSystem) {
  EXPECT_EQ(read("").train.betas, (std::vector<double>{0.9, 0.99}));
  const RunConfig single = read("", {"model.system=base_st_depth", "weighting.method=uncertainty"});
  EXPECT_EQ(single.train.betas, (std::vector<double>{0.9, 0.999}));
  EXPECT_EQ(single.loss.lambda_1, 0.0);
  EXPECT_EQ(single.weighting.method, "equal");
  EXPECT_EQ(read("", {"model.system=align"}).run.name, "align_resnet34");
}

TEST_F(ConfigFile, LossOptionsAreReadAndBounded) {
  const RunConfig c = read("[loss]\ndepth = \"smoothL1\"\ntransferred_depth = \"ssim\"\n",
                           {"loss.transferred_segmentation=kl", "loss.soft_target=true", "loss.label_smoothing=0.1"});
  EXPECT_EQ(c.loss.depth, DepthLoss::smooth_l1);
  EXPECT_EQ(c.loss.transferred_depth, TransferredDepthLoss::ssim);
  EXPECT_EQ(c.loss.transferred_segmentation, TransferredSegmentationLoss::kl);
  EXPECT_TRUE(c.loss.soft_target);
  EXPECT_EQ(c.loss.label_smoothing, 0.1);
  EXPECT_EQ(refusal("[loss]\nlabel_smoothing = 1\n"),
            ":2:19: loss.label_smoothing must be a number >= 0 and < 1, found the integer 1");
  EXPECT_EQ(refusal("[loss]\ndepth = \"l1\"\n"),
            ":2:9: loss.depth must be one of L1, MSE, logL1, smoothL1 (did you mean \"L1\"?), found the string \"l1\"");
  EXPECT_EQ(refusal("[loss]\ntransferred_depth = \"MSE\"\n"),
            ":2:21: loss.transferred_depth must be one of L1, ssim, found the string \"MSE\"");
}

TEST_F(ConfigFile, OnlyXtascHasLossesOfItsOwnForTransferredPredictions) {
  const std::vector<std::string> options = {"loss.depth=MSE", "loss.transferred_depth=ssim",
                                            "loss.transferred_segmentation=kl", "loss.soft_target=true",
                                            "loss.label_smoothing=0.1"};
  for (const char* system : {"align", "base_mt"}) {
    std::vector<std::string> assignments = options;
    assignments.push_back(std::string("model.system=") + system);
    const LossSection loss = read("", assignments).loss;
    EXPECT_EQ(loss.depth, DepthLoss::mse);
    EXPECT_EQ(loss.transferred_depth, TransferredDepthLoss::l1);
    EXPECT_EQ(loss.transferred_segmentation, TransferredSegmentationLoss::cross);
    EXPECT_FALSE(loss.soft_target);
    EXPECT_EQ(loss.label_smoothing, 0.0);
  }
}

TEST_F(ConfigFile, IdentityLeavesOutWhatChangesNoNumber) {
  const std::string identity = identity_text(read(""));
  EXPECT_EQ(identity_text(read("", {"run.output=x", "run.name=y", "run.threads=3", "train.bucket_mib=1"})), identity);
  EXPECT_NE(identity_text(read("", {"run.seed=2"})), identity);
}

/// A key's line is in the text or it is not; so a key that is added one day, at its default, is as if it were not
/// there.
TEST_F(ConfigFile, IdentityLeavesOutEveryKeyAtItsDefault) {
  for (const char* system : {"xtasc", "align", "base_mt", "base_st_seg", "base_st_depth"}) {
    const std::string setting = std::string("model.system=") + system;
    std::string expected;
    for (const KeyValue& key : deciding_keys(read("", {setting, "train.epochs=3", "data.flip=false"}))) {
      const std::set<std::string> set = {"model.system", "train.epochs", "data.flip", "train.betas"};
      if (set.contains(key.key) && key.value != "\"xtasc\"") {  // the default of model.system
        expected += key.key + " = " + key.value + "\n";
      }
    }
    EXPECT_EQ(identity_text(read("", {setting, "train.epochs=3", "data.flip=false"})), expected);
  }
}

TEST_F(ConfigFile, IdentityKnowsFilesByWhatTheyHold) {
  const std::string digest = "data.pack_digest=00112233445566778899aabbccddeeff";
  const std::string weights = "model.encoder_weights_digest=ffeeddccbbaa99887766554433221100";
  const auto of = [&](const std::vector<std::string>& assignments) { return identity_text(read("", assignments)); };
  const std::string here = of({"data.pack=d.h5", digest, "model.encoder_weights=w.pth", weights});
  EXPECT_EQ(here, of({"data.pack=/scratch/d.h5", digest, "model.encoder_weights=../w.pth", weights}));
  EXPECT_NE(here, of({"data.pack=d.h5", "data.pack_digest=00112233445566778899aabbccddee00",
                      "model.encoder_weights=w.pth", weights}));
  EXPECT_NE(here, of({"data.pack=d.h5", digest, "model.encoder_weights=w.pth",
                      "model.encoder_weights_digest=00112233445566778899aabbccddee00"}));
  EXPECT_NE(here, of({"data.pack=d.h5", digest}));
  EXPECT_EQ(refusal("[data]\npack_digest = \"0011\"\n"),
            ":2:15: data.pack_digest must be 32 hexadecimal digits, or \"\", found the string \"0011\"");
  EXPECT_EQ(refusal("", {weights}), "model.encoder_weights_digest is set, but model.encoder_weights names no file");
}

TEST_F(ConfigFile, IdentityLeavesOutWhatSaysNothingToTheRun) {
  const auto says_nothing = [&](const std::vector<std::string>& run, const std::string& assignment) {
    std::vector<std::string> with = run;
    with.push_back(assignment);
    return identity_text(read("", run)) == identity_text(read("", with));
  };
  EXPECT_TRUE(says_nothing({"model.system=base_mt"}, "model.ttnet_widths=[8, 8, 8]"));
  EXPECT_TRUE(says_nothing({"model.system=base_mt"}, "model.ttnet_batch_norm=true"));
  EXPECT_TRUE(says_nothing({"model.system=base_mt"}, "loss.lambda_1=0.5"));
  EXPECT_TRUE(says_nothing({"model.system=base_st_seg"}, "loss.depth=MSE"));
  EXPECT_TRUE(says_nothing({"model.system=base_st_depth"}, "data.label_set=label_19"));
  EXPECT_TRUE(says_nothing({"model.system=base_st_depth"}, "weighting.method=uncertainty"));
  EXPECT_TRUE(says_nothing({"model.system=align"}, "loss.soft_target=true"));
  EXPECT_TRUE(says_nothing({"run.precision=fp64"}, "run.device=cpu"));
  for (const char* assignment :
       {"model.ttnet_widths=[8, 8, 8]", "loss.depth=MSE", "data.label_set=label_19", "weighting.method=uncertainty",
        "loss.soft_target=true", "loss.lambda_1=0.5", "run.device=cpu", "model.ttnet_batch_norm=true"}) {
    EXPECT_FALSE(says_nothing({}, assignment)) << assignment;
  }
}

TEST_F(ConfigFile, DecidingKeysStandThereAtTheirDefaultsToo) {
  const auto keys = deciding_keys(read("", {"weighting.method=gradnorm"}));
  EXPECT_THAT(keys, testing::Contains(KeyValue{"weighting.alpha", "0.16"}));
  EXPECT_THAT(keys, testing::Contains(KeyValue{"data.flip", "true"}));
  EXPECT_THAT(keys, testing::Not(testing::Contains(testing::Field(&KeyValue::key, "weighting.temperature"))));
}

TEST(PinDigest, WritesOrCompares) {
  std::string pinned;
  pin_digest(pinned, "aa", "data.pack_digest", "d.h5");
  EXPECT_EQ(pinned, "aa");
  EXPECT_NO_THROW(pin_digest(pinned, "aa", "data.pack_digest", "d.h5"));
  EXPECT_THROW(pin_digest(pinned, "bb", "data.pack_digest", "d.h5"), Error);
}

TEST_F(ConfigFile, KeysOfAnotherWeightingMethodAreRefused) {
  EXPECT_EQ(refusal("[weighting]\nalpha = 0.5\n"),
            "weighting.alpha = 0.5 says nothing to weighting.method = \"equal\": it is for gradnorm, fairgrad");
  EXPECT_EQ(refusal("[weighting]\nmethod = \"pcgrad\"\nlearning_rate = 0.1\n"),
            "weighting.learning_rate = 0.1 says nothing to weighting.method = \"pcgrad\": it is for uncertainty, "
            "gradnorm, imtl_l, imtl, famo, sdmgrad, moco, excess_mtl");
  EXPECT_EQ(refusal("[weighting]\nalpha = 0.16\n"), "accepted");  // the default: nothing is lost
  EXPECT_EQ(refusal("", {"weighting.method=mgda", "weighting.normalisation=loss+", "weighting.parameters=all"}),
            "accepted");
  EXPECT_EQ(refusal("", {"weighting.method=cagrad", "weighting.rescale=3"}),
            "weighting.rescale must be 0, 1 or 2, found 3");
}

TEST_F(ConfigFile, TasksAreThoseThatASystemCanHave) {
  EXPECT_EQ(refusal("", {"model.system=mtan"}), "accepted");
  EXPECT_EQ(refusal("", {"model.system=stan", "model.tasks=[\"depth\"]"}), "accepted");
  EXPECT_EQ(refusal("", {"model.system=stan"}),
            "model.system = \"stan\" takes 1 task, but model.tasks names 2: segmentation, depth");
  EXPECT_EQ(refusal("", {"model.system=mtan", "model.tasks=[\"depth\"]"}),
            "model.system = \"mtan\" takes 2 or more tasks, but model.tasks names 1: depth");
  EXPECT_EQ(refusal("[model]\ntasks = [\"depth\"]\n"),
            "model.system = \"xtasc\" takes 2 or more tasks, but model.tasks names 1: depth");
  EXPECT_EQ(
      refusal("", {"model.system=base_st_depth", "model.tasks=[\"depth\"]"}),
      "model.tasks = [\"depth\"] says nothing to model.system = \"base_st_depth\": it is for xtasc, align, base_mt, "
      "base_st, segnet, stan, dense, cross_stitch, mtan, kd4mtl, adamt, deeplab");
  EXPECT_EQ(refusal("", {"model.system=mtan", "model.cross_stitch=misra"}),
            "model.cross_stitch = \"misra\" says nothing to model.system = \"mtan\": it is for cross_stitch");
  EXPECT_EQ(refusal("", {"model.system=mtan", "model.encoder_weights=w.pt"}),
            "model.encoder_weights says nothing to model.system = \"mtan\", which has no ResNet: it is for xtasc, "
            "align, base_mt, base_st_seg, base_st_depth, base_st, deeplab");
  for (const char* list : {"[]", "[\"depth\", \"depth\"]", "[\"normal\"]", "\"depth\"", "[1]"}) {
    EXPECT_THAT(refusal("", {"model.system=segnet", std::string("model.tasks=") + list}),
                testing::HasSubstr("a list of some of segmentation, depth, normals, each once"))
        << list;
  }
  // The order counts: it is that of the heads.
  const auto id = [&](const std::string& tasks) {
    return identity_text(read("", {"model.system=segnet", "model.tasks=" + tasks}));
  };
  EXPECT_NE(id("[\"segmentation\", \"depth\"]"), id("[\"depth\", \"segmentation\"]"));
  EXPECT_EQ(read("", {"model.system=segnet", "model.tasks=[\"depth\"]"}).run.name, "segnet_depth");
  EXPECT_EQ(read("", {"model.system=mtan"}).run.name, "mtan");
  EXPECT_EQ(read("", {"model.system=deeplab", "model.encoder=resnet50"}).run.name, "deeplab_resnet50");
  EXPECT_EQ(&system_of(read("", {"model.system=mtan"}).model), &system_of(read("", {"model.system=mtan"}).model));
}

TEST_F(ConfigFile, OneTaskAloneIsOneRunWhateverItIsCalled) {
  const RunConfig named = read("", {"model.system=base_st_depth"});
  const RunConfig open = read("", {"model.system=base_st", "model.tasks=[\"depth\"]"});
  EXPECT_EQ(identity_text(open), identity_text(named));
  EXPECT_EQ(open.run.name, "base_st_depth_resnet34");
  EXPECT_EQ(&system_of(open.model), &system_of(named.model));
  EXPECT_EQ(to_toml(open, false), to_toml(named, false));
  const RunConfig normals = read("", {"model.system=base_st", "model.tasks=[\"normals\"]"});
  EXPECT_EQ(normals.run.name, "base_st_resnet34_normals");
  EXPECT_EQ(system_of(normals.model).part_of, "base_st");
  EXPECT_EQ(normals.train.betas, named.train.betas);
}

TEST_F(ConfigFile, TransfersAreThoseOfTheTasks) {
  const std::string three = "model.tasks=[\"segmentation\", \"depth\", \"normals\"]";
  EXPECT_EQ(refusal("", {three, "model.transfer=ring"}), "accepted");
  EXPECT_EQ(refusal("", {three, "model.transfer_pairs=[\"normals>seg\"]"}), "accepted");
  EXPECT_EQ(refusal("", {"model.transfer_pairs=[\"normals>seg\"]"}),
            "model.transfer_pairs names \"normals>seg\", but normals is none of model.tasks (here seg, depth)");
  EXPECT_EQ(refusal("", {three, "model.transfer=ring", "model.transfer_pairs=[\"seg>depth\"]"}),
            "model.transfer = \"ring\" says nothing beside model.transfer_pairs, which is a list of its own: leave one "
            "out");
  EXPECT_EQ(refusal("", {three, "model.transfers_per_task=2"}),
            "model.transfers_per_task = 2 says nothing to model.transfer = \"pairs\": it is for sample");
  EXPECT_EQ(refusal("", {three, "model.transfer=sample", "model.transfers_per_task=3"}),
            "model.transfers_per_task = 3, but each of 3 tasks has 2 others");
  EXPECT_EQ(refusal("", {"model.system=base_mt", "model.transfer=ring"}),
            "model.transfer = \"ring\" says nothing to model.system = \"base_mt\": it is for xtasc, align");
  EXPECT_THAT(refusal("", {three, "model.transfer_pairs=[\"seg>seg\"]"}), testing::HasSubstr("seg>depth"));
  // The third lambda is the second's, and another run only where there is a third task.
  const auto id = [&](const std::vector<std::string>& assignments) { return identity_text(read("", assignments)); };
  EXPECT_EQ(id({"loss.lambda_3=0.5"}), id({}));
  EXPECT_EQ(id({three, "loss.lambda_2=0.2", "loss.lambda_3=0.2"}), id({three, "loss.lambda_2=0.2"}));
  EXPECT_NE(id({three, "loss.lambda_3=0.2"}), id({three}));
  EXPECT_EQ(read("", {three, "loss.lambda_2=0.2"}).loss.lambda_3, 0.2);
  EXPECT_EQ(refusal("", {three, "loss.lambda_3=-0.5"}),
            "loss.lambda_3 must be between 0 and 1, or -1 for that of lambda_2, found -0.5");
}

TEST_F(ConfigFile, KeysOfAStudentAreRefusedElsewhere) {
  const std::string student = "model.system=kd4mtl";
  EXPECT_EQ(refusal("", {student, "distillation.teacher_seg=runs/stan_seg-1", "distillation.weight_depth=2"}),
            "accepted");
  EXPECT_EQ(refusal("[distillation]\nteacher_seg = \"w.pt\"\n"),
            "distillation.teacher_seg = \"w.pt\" says nothing to model.system = \"xtasc\": it is for kd4mtl");
  EXPECT_EQ(refusal("", {"model.system=mtan", "distillation.adaptor_learning_rate=0.01"}),
            "distillation.adaptor_learning_rate = 0.01 says nothing to model.system = \"mtan\": it is for kd4mtl");
  EXPECT_EQ(refusal("", {student, "distillation.teacher_seg_digest=0123456789abcdef0123456789abcdef"}),
            "distillation.teacher_seg_digest is set, but distillation.teacher_seg names no file");
  EXPECT_EQ(refusal("", {student, "model.dropout=0.1"}),
            "model.dropout = 0.1 says nothing to model.system = \"kd4mtl\": it is for adamt, deeplab");
  // Where a teacher lies makes no other run, what it is does.
  const auto id = [&](const std::string& path, const std::string& digits) {
    return identity_text(read("", {student, "distillation.teacher_seg=" + path,
                                   "distillation.teacher_seg_digest=" + std::string(32, digits.front())}));
  };
  EXPECT_EQ(id("a", "1"), id("b", "1"));
  EXPECT_NE(id("a", "1"), id("a", "2"));
  RunConfig config = read("", {student, "distillation.teacher_depth=d.pt"});
  const std::vector<WeightsKey> keys = weights_keys(config);
  ASSERT_EQ(keys.size(), 4U);
  EXPECT_EQ(keys[2].key, "distillation.teacher_depth");
  EXPECT_EQ(keys[2].path, "d.pt");
  keys[2].digest = "x";
  EXPECT_EQ(config.distillation.of("depth").digest, "x");
  EXPECT_EQ(to_toml(read(to_toml(read("", {student, "distillation.weight_seg=0.7"}), true)), false),
            to_toml(read("", {student, "distillation.weight_seg=0.7"}), false));
}

TEST_F(ConfigFile, WeightingResolves) {
  const RunConfig famo = read("", {"weighting.method=famo"});
  EXPECT_EQ(famo.weighting.learning_rate, 0.025);
  EXPECT_EQ(to_toml(read(to_toml(famo, true)), false), to_toml(famo, false));
  const RunConfig single = read("", {"model.system=base_st_seg", "weighting.method=gradnorm", "weighting.alpha=2"});
  EXPECT_EQ(single.weighting.alpha, 0.16);
}

TEST_F(ConfigFile, IdentityHoldsAMethodsKeysOnlyWhereTheyDiffer) {
  const auto of_weighting = [&](const std::vector<std::string>& assignments) {
    const std::string text = identity_text(read("", assignments));
    const auto begin = std::min(text.find("weighting."), text.find("train."));
    return text.substr(begin, text.find("train.") - begin);
  };
  EXPECT_EQ(of_weighting({}), "");
  EXPECT_EQ(of_weighting({"weighting.method=uncertainty"}), "weighting.method = \"uncertainty\"\n");
  EXPECT_EQ(of_weighting({"weighting.method=gradnorm", "weighting.alpha=1.5"}),
            "weighting.method = \"gradnorm\"\nweighting.alpha = 1.5\n");
}

TEST(Configs, EveryFileOfTheProjectReads) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(XTASC_SOURCE_DIR) / "configs")) {
    if (entry.path().extension() == ".toml" && entry.path().string().find(".dataset.") == std::string::npos) {
      EXPECT_NO_THROW(static_cast<void>(read_run_config(entry.path()))) << entry.path();
      ++count;
    }
  }
  EXPECT_GE(count, 3);
}

TEST(Configs, BaseHoldsTheDefaults) {
  const fs::path base = fs::path(XTASC_SOURCE_DIR) / "configs/base.toml";
  EXPECT_EQ(to_toml(read_run_config(base), false), to_toml(run_config_of({}), false));
  // And it says of each key what the program says.
  std::stringstream text;
  text << std::ifstream(base).rdbuf();
  const auto keys = [](const std::string& whole) { return whole.substr(whole.find("[run]")); };
  EXPECT_EQ(keys(text.str()), keys(to_toml(RunConfig{}, true)));
}

}  // namespace
}  // namespace xtasc::config
