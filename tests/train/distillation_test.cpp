#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/error.hpp"
#include "loss/distillation.hpp"
#include "support/learners.hpp"
#include "support/nets.hpp"
#include "tensorfile/tensor_file.hpp"
#include "train/evaluate.hpp"

namespace xtasc::train {
namespace {

namespace fs = std::filesystem;

config::RunConfig student_config(std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"model.system=kd4mtl", "distillation.weight_seg=0.5", "distillation.weight_depth=2"});
  return test::step_config(more);
}

data::Batch batch_of_two() {
  return test::rows(test::random_batch(1, 2, 5, 32, 32), {0, 2}, at::kDouble);
}

/// Pixel by pixel.
TEST(DistillationLoss, IsTheDistanceOfNormalisedFeatures) {
  const std::vector<at::Tensor> student = {at::randn({2, 3, 1, 2}, at::kDouble), at::randn({2, 4, 2, 2}, at::kDouble)};
  const std::vector<at::Tensor> teacher = {at::randn({2, 3, 1, 2}, at::kDouble), at::zeros({2, 4, 2, 2}, at::kDouble)};
  double expected = 0.0;
  for (std::size_t k = 0; k < student.size(); ++k) {
    const auto& sizes = student[k].sizes();
    for (std::int64_t n = 0; n < sizes[0]; ++n) {
      for (std::int64_t i = 0; i < sizes[2] * sizes[3]; ++i) {
        const at::Tensor s = student[k][n].flatten(1).select(1, i);
        const at::Tensor t = teacher[k][n].flatten(1).select(1, i);
        const auto unit = [](const at::Tensor& x) { return x / std::sqrt(x.dot(x).item<double>() + 1e-6); };
        const at::Tensor difference = unit(s) - unit(t);
        expected += difference.dot(difference).item<double>() / static_cast<double>(sizes[0] * sizes[2] * sizes[3]);
      }
    }
  }
  const loss::SummedLoss loss = loss::distillation_loss(student, teacher);
  EXPECT_NEAR(loss.sum.item<double>() / loss.count.item<double>(), expected, 1e-12);
}

/// What the objective is made of, and that no method's weights reach it.
TEST(Distillation, IsAddedBehindTheWeighting) {
  const auto config = student_config({"weighting.method=uncertainty"});
  const data::Batch batch = batch_of_two();
  const auto learner = test::learner_for(config, 5, batch, at::kCPU);
  const auto communicator = dist::make_solo_communicator();
  learner->weighting->weights().front().second.fill_(0.3);
  Step step(config, *learner, *communicator);
  EXPECT_EQ(step.loss_names(),
            (std::vector<std::string>{"seg", "depth", "distillation_seg", "distillation_depth", "total"}));
  const at::Tensor losses = step.compute(batch).losses;
  const auto loss = [&losses](std::int64_t k) { return losses[k].item<double>(); };
  EXPECT_GT(loss(2), 0.1);
  EXPECT_GT(loss(3), 0.1);
  const double weighed = 0.5 * std::exp(-0.3) * (loss(0) + loss(1)) + 0.6;
  EXPECT_NEAR(loss(4), weighed + 0.5 * loss(2) + 2.0 * loss(3), 1e-12);
  EXPECT_NEAR(task_losses(losses, *learner->objective).sum().item<double>(), loss(0) + loss(1), 1e-12);
}

/// Nothing of the teachers moves, and the adaptors at their own rate.
TEST(Distillation, MovesAdaptorsByTheirOwnAdam) {
  const auto config = student_config({"weighting.method=equal", "distillation.adaptor_learning_rate=0.01"});
  const data::Batch batch = batch_of_two();
  const auto learner = test::learner_for(config, 5, batch, at::kCPU);
  const auto communicator = dist::make_solo_communicator();
  std::vector<at::Tensor> taught_by;
  for (const auto& [name, tensor] : learner->teachers->weights()) {
    taught_by.push_back(tensor.detach().clone());
  }
  Step step(config, *learner, *communicator);
  static_cast<void>(step.compute(batch));
  const auto& parameters = learner->net.parameters().parameters();
  EXPECT_EQ(parameters.back().name, "adaptor_depth.conv2.weight");
  EXPECT_EQ(learner->net.num_adaptors(), 4U);
  const at::Tensor adaptor = parameters.back().tensor.detach().clone();
  const at::Tensor first = parameters.front().tensor.detach().clone();
  step.update(1e-3);
  // Adam's first step is its rate in each direction where there is a gradient.
  const auto largest_step = [](const at::Tensor& now, const at::Tensor& before) {
    return (now.detach() - before).abs().max().item<double>();
  };
  EXPECT_NEAR(largest_step(parameters.back().tensor, adaptor), 0.01, 1e-6);
  EXPECT_NEAR(largest_step(parameters.front().tensor, first), 0.001, 1e-6);
  const auto now = learner->teachers->weights();
  for (std::size_t i = 0; i < now.size(); ++i) {
    EXPECT_TRUE(at::equal(now[i].second, taught_by[i])) << now[i].first;
  }
}

/// By their running statistics, or by the batch's: then two images together are others than each alone.
TEST(Distillation, TeachersSeeABatchAsTheConfigSays) {
  const data::Batch batch = batch_of_two();
  for (const char* mode : {"evaluate", "train"}) {
    const auto config = student_config({std::string("distillation.teacher_batch_norm=") + mode});
    const Teachers teachers(config, {5, 32, 32}, at::kCPU, at::kDouble);
    const auto feature_of = [&](const at::Tensor& image) {
      loss::Targets targets;
      teachers.teach(image, model::Mode{.training = true, .compute = at::kDouble}, targets);
      return targets.at(loss::feature_key("seg", 1)).narrow(0, 0, 1);
    };
    const bool is_alone = at::allclose(feature_of(batch.image_n3hw), feature_of(batch.image_n3hw.narrow(0, 0, 1)));
    EXPECT_EQ(is_alone, std::string(mode) == "evaluate") << mode;
  }
}

TEST(Distillation, EvaluationAsksNoTeacher) {
  const auto config = student_config();
  const Learner learner(config, 5, at::kCPU);
  EvaluationSums sums(config, learner);
  sums.add(batch_of_two());
  const Evaluation evaluation = sums.result();
  EXPECT_EQ(evaluation.losses.size(), 3U);
  EXPECT_NEAR(evaluation.losses.at("total"), evaluation.losses.at("seg") + evaluation.losses.at("depth"), 1e-12);
  const auto communicator = dist::make_solo_communicator();
  Learner without(config, 5, at::kCPU);
  EXPECT_THROW(Step(config, without, *communicator), Error);
}

std::string refusal_of(const config::RunConfig& config, const net::Sizes& sizes = 5) {
  try {
    static_cast<void>(read_teachers(config, sizes));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "";
}

/// A file of the weights of a system with one task.
std::string file_of(const std::string& name, const std::vector<std::string>& assignments, std::int64_t num_classes) {
  const auto config = test::step_config(assignments);
  const Learner learner(config, num_classes, at::kCPU);
  tensorfile::TensorDict tensors;
  for (const auto& [key, tensor] : learner.weights()) {
    tensors[key] = tensor.detach();
  }
  const fs::path path = fs::path(testing::TempDir()) / name;
  tensorfile::write_tensor_dict(path, tensors);
  return path.string();
}

TEST(ReadTeachers, TakesNoOtherNetThanTheTasksOwn) {
  const std::string seg = file_of("seg.pt", {"model.system=stan", "model.tasks=[\"segmentation\"]"}, 5);
  const std::string depth = file_of("depth.pt", {"model.system=stan", "model.tasks=[\"depth\"]"}, 5);
  const auto with = [](const std::string& of_seg, const std::string& of_depth) {
    return student_config({"distillation.teacher_seg=" + of_seg, "distillation.teacher_depth=" + of_depth});
  };
  EXPECT_EQ(refusal_of(student_config()),
            "model.system = \"kd4mtl\" learns from a teacher for each task: set distillation.teacher_seg to a run of "
            "stan (segmentation)");
  EXPECT_EQ(refusal_of(with("none", depth)), "distillation.teacher_seg = \"none\": there is no such file or folder");
  EXPECT_EQ(refusal_of(with(depth, seg)),
            "distillation.teacher_seg = \"" + depth + "\": it is of another task: its head gives a single channel");
  EXPECT_NE(refusal_of(with(seg, depth), 7).find("it knows 5 classes, the student's data have 7"), std::string::npos);
  EXPECT_EQ(read_teachers(with(seg, depth), 5).tensors.size(), 2U);
  EXPECT_TRUE(read_teachers(test::step_config({}), 5).tensors.empty());
  for (const std::string& path : {seg, depth}) {
    fs::remove(path);
  }
}

}  // namespace
}  // namespace xtasc::train
