#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "metric/metrics.hpp"
#include "pack/pack_fixture.hpp"
#include "support/nets.hpp"
#include "support/systems.hpp"
#include "tensorfile/tensor_file.hpp"
#include "toy/toy.hpp"
#include "train/evaluate.hpp"
#include "train/health.hpp"
#include "train/weights.hpp"

// What is measured of a third task, and of systems that have it.
namespace xtasc::train {
namespace {

constexpr std::int64_t kClasses = 5;

config::RunConfig config_of(const std::string& system) {
  return test::step_config({"model.system=" + system, "model.decoder_width=8", "model.ttnet_widths=[4,4,4]"});
}

std::set<std::string> names_of(const metric::Values& values) {
  std::set<std::string> names;
  for (const auto& [name, value] : values) {
    names.insert(name);
  }
  return names;
}

/// The batches' evaluation, and the predictions for each.
Evaluation evaluation_of(const config::RunConfig& config, const Learner& learner,
                         const std::vector<data::Batch>& batches) {
  const c10::InferenceMode inference;
  EvaluationSums sums(config, learner);
  for (const data::Batch& batch : batches) {
    sums.add(batch);
  }
  return sums.result();
}

/// By plain loops over pixels.
metric::Report plain_flow(const std::vector<at::Tensor>& predictions, const std::vector<at::Tensor>& truths) {
  metric::Report report;
  metric::Values pooled;
  double num_images = 0.0;
  double num_pixels = 0.0;
  for (std::size_t b = 0; b < truths.size(); ++b) {
    const at::Tensor prediction = predictions[b].to(at::kDouble).contiguous();
    const at::Tensor truth = truths[b].to(at::kDouble).contiguous();
    const auto p = prediction.accessor<double, 4>();
    const auto t = truth.accessor<double, 4>();
    metric::Values sums;
    double count = 0.0;
    for (std::int64_t n = 0; n < truth.size(0); ++n) {
      for (std::int64_t y = 0; y < truth.size(2); ++y) {
        for (std::int64_t x = 0; x < truth.size(3); ++x) {
          if (t[n][0][y][x] > 0 && t[n][1][y][x] > 0) {
            const double square =
                std::pow(p[n][0][y][x] - t[n][0][y][x], 2) + std::pow(p[n][1][y][x] - t[n][1][y][x], 2);
            sums["flow_err"] += std::sqrt(square);
            sums["flow_near"] += square < 1.0 ? 1.0 : 0.0;
            sums["flow_rmse"] += square;
            count += 1.0;
          }
        }
      }
    }
    const auto images = static_cast<double>(truth.size(0));
    for (const auto& [name, sum] : sums) {
      pooled[name] += sum;
      report.paper[name] += images * (name == "flow_rmse" ? std::sqrt(sum / count) : sum / count);
    }
    num_pixels += count;
    num_images += images;
  }
  for (const auto& [name, sum] : pooled) {
    report.dataset[name] = name == "flow_rmse" ? std::sqrt(sum / num_pixels) : sum / num_pixels;
    report.paper[name] /= num_images;
  }
  return report;
}

TEST(ToyMetrics, EvaluationReportsThoseOfEveryTask) {
  test::add_toys();
  for (const char* system :
       {"toy", "toy_st_scene", "toy_st_flow", "xtasc_of_three", "xtasc", "base_mt", "base_st_seg"}) {
    const auto config = config_of(system);
    const Learner learner(config, kClasses, at::kCPU);
    std::vector<data::Batch> batches;
    std::vector<at::Tensor> predictions;
    std::vector<at::Tensor> truths;
    for (const std::int64_t size : {3, 2}) {
      batches.push_back(test::rows(test::toy_batch(static_cast<std::uint64_t>(size), size, kClasses, 32, 32), {0, size},
                                   at::kDouble));
      const c10::InferenceMode inference;
      predictions.push_back(
          learner.net.forward_direct(batches.back().image_n3hw, {.training = false, .compute = at::kDouble})
              .of("flow"));
      truths.push_back(batches.back().truth_of("flow"));
    }
    const Evaluation evaluation = evaluation_of(config, learner, batches);
    std::set<std::string> names;
    bool has_flow = false;
    for (const task::Task& task : learner.net.tasks()) {
      for (const task::Metric& metric : task.metrics) {
        names.emplace(metric.key);
      }
      names.insert(task.further.begin(), task.further.end());
      has_flow = has_flow || task.key == "flow";
    }
    EXPECT_EQ(names_of(evaluation.report.paper), names) << system;
    EXPECT_EQ(names_of(evaluation.report.dataset), names) << system;
    EXPECT_EQ(evaluation.consistency.empty(), learner.net.transfers().empty()) << system;
    if (has_flow) {
      const metric::Report expected = plain_flow(predictions, truths);
      for (const auto& [found, of] :
           {std::pair{&evaluation.report.paper, &expected.paper}, {&evaluation.report.dataset, &expected.dataset}}) {
        for (const auto& [name, value] : *of) {
          EXPECT_NEAR(found->at(name), value, 1e-9) << system << " " << name;
        }
      }
    }
  }
}

TEST(ToyMetrics, ATaskWithoutTruthIsOneClearError) {
  test::add_toys();
  const auto config = config_of("toy");
  const Learner learner(config, kClasses, at::kCPU);
  const data::Batch batch = test::rows(test::random_batch(1, 3, kClasses, 32, 32), {0, 3}, at::kDouble);
  EXPECT_EQ(test::error_of([&] { static_cast<void>(evaluation_of(config, learner, {batch})); }),
            "the samples hold no truth of task \"flow\", only of depth, normals, seg: another pack is needed, or a "
            "system without "
            "that task");
}

/// Before anything is trained: the pack knows labels and depth alone.
TEST(ToyMetrics, APackWithoutATasksTruthIsRefusedBeforeTraining) {
  test::add_toys();
  const test::TempFolder folder;
  test::write_small_pack(folder.path() / "a.h5");
  const data::Splits splits = data::read_splits(pack::Reader(folder.path() / "a.h5"), 0, at::kCPU);
  EXPECT_TRUE(splits.train.has_truth_of("seg") && splits.val.has_truth_of("depth"));
  check_targets(config_of("toy_st_scene"), splits, "a.h5");
  EXPECT_EQ(test::error_of([&] { check_targets(config_of("toy"), splits, "a.h5"); }),
            "a.h5: the pack has no flow, which toy predicts here: pack the data with flow, or train without that task "
            "(model.tasks)");
}

TEST(ToyMetrics, TwoTasksDoNotMeasureByOneName) {
  test::add_toys();
  task::Task twin = task::of_key("depth");
  twin.key = "depth_too";
  metric::Metrics metrics({task::of_key("depth"), twin}, 0, at::kCPU);
  const at::Tensor ones = at::ones({1, 1, 2, 2});
  metrics.add({{"depth", ones}, {"depth_too", ones}}, {{"depth", ones}, {"depth_too", ones}});
  EXPECT_THROW(static_cast<void>(metrics.report()), Error);
  EXPECT_THROW(task::add(twin), Error) << "a row with the keys of another";
  EXPECT_EQ(task::all().size(), 4U);
}

/// By the parameters that depend on it, whatever the network calls them.
TEST(ToyMetrics, TheNumberOfClassesIsReadOffTheWeightsOfAnyNetwork) {
  test::add_toys();
  for (const config::System& row : config::systems()) {
    const auto config = config::run_config_of(test::assignments_of(row));
    const config::System& system = config::system_of(config.model);
    for (const std::int64_t num_classes : {2, 5, 19}) {
      const auto net = model::make_network(config.model, {num_classes, 64, 64}, 1, at::kMeta, at::kFloat);
      tensorfile::TensorDict tensors;
      for (const auto& [name, tensor] : net->parameters().parameters()) {
        tensors[name] = tensor;
      }
      EXPECT_EQ(num_classes_of(config.model, "w.pt", tensors), system.has("seg") ? num_classes : 0) << system.word;
      if (system.has("seg")) {
        EXPECT_THROW(static_cast<void>(num_classes_of(config.model, "w.pt", {})), Error) << system.word;
      }
    }
  }
}

}  // namespace
}  // namespace xtasc::train
