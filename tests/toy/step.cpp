// Some steps of a toy system, for the PyTorch peer (tests/peer/compare_toy.py) and under mpirun:
//
//     toy_step OUT.pt NUM_STEPS section.key=value ... [-- OUT.pt NUM_STEPS section.key=value ...] ...
//
// Nets between -- are trained one after the other: a start takes longer than a net's steps. OUT.pt: weight0.NAME;
// image, target.TASK; then of every step loss.STEP (terms and total), weights.STEP (tasks), grad.STEP.NAME; and at last
// weight.NAME. Two epochs lie behind, so that every method is at work from the first step; to the learning rate these
// are the run's first steps, five an epoch.
#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "dist/communicator.hpp"
#include "support/nets.hpp"
#include "tensorfile/tensor_file.hpp"
#include "toy/toy.hpp"
#include "train/schedule.hpp"
#include "train/step.hpp"

namespace xtasc {
namespace {

constexpr std::int64_t kClasses = 5;
constexpr std::int64_t kImages = 5;
constexpr std::int64_t kStepsAnEpoch = 5;

void take_steps(const dist::MpiSession& session, const std::string& output, std::int64_t num_steps,
                std::vector<std::string> assignments) {
  assignments.insert(assignments.begin(), "train.learning_rate=1e-3");
  const auto config = test::step_config(assignments);
  const auto communicator = dist::make_communicator(session, at::kCPU);
  train::Learner learner(config, kClasses, at::kCPU);
  learner.weighting->end_epoch(0, at::tensor({3.0, 2.5, 2.8}, at::kDouble));
  learner.weighting->end_epoch(1, at::tensor({2.0, 2.4, 1.9}, at::kDouble));
  const data::Batch whole = test::rows(test::toy_batch(1, kImages, kClasses, 32, 64), {0, kImages}, at::kDouble);
  std::vector<data::Batch> mine;
  for (const data::Range& piece : data::pieces_of({0, kImages}, config.train.accumulate)) {
    mine.push_back(test::rows(whole, data::share_of(piece, communicator->rank(), communicator->size()), at::kDouble));
  }
  tensorfile::TensorDict out = {{"image", whole.image_n3hw.contiguous()}};
  for (const auto& [task, target] : whole.targets) {
    out["target." + task] = target;
  }
  const auto keep = [&](const std::string& prefix, const auto& tensors) {
    for (const auto& [name, tensor] : tensors) {
      out[prefix + name] = tensor.detach().contiguous().clone();
    }
  };
  keep("weight0.", learner.net.parameters().parameters());
  train::Step step(config, learner, *communicator);
  for (std::int64_t i = 0; i < num_steps; ++i) {
    const train::StepResult result = step.compute(mine, {.epoch = 2, .step = i});
    out[fmt::format("loss.{}", i)] = result.losses.clone();
    out[fmt::format("weights.{}", i)] = result.task_weights.clone();
    for (const auto& [name, tensor] : learner.net.parameters().parameters()) {
      out[fmt::format("grad.{}.{}", i, name)] = tensor.grad().contiguous().clone();
    }
    step.update(train::learning_rate(config.train, {.epoch = i / kStepsAnEpoch, .step = i, .num_steps = num_steps}));
  }
  keep("weight.", learner.net.parameters().parameters());
  if (session.rank() == 0) {
    tensorfile::write_tensor_dict(output, out);
  }
}

}  // namespace
}  // namespace xtasc

int main(int argc, char** argv) {
  const xtasc::dist::MpiSession session(&argc, &argv);
  xtasc::test::add_toys();
  char** const last = argv + argc;
  for (char** first = argv + 1; first < last;) {
    char** const end = std::find_if(first, last, [](const char* word) { return std::string_view(word) == "--"; });
    if (end - first < 2) {
      return 2;
    }
    try {
      xtasc::take_steps(session, first[0], std::stoll(first[1]), {first + 2, end});
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s: %s\n", first[0], error.what());
      return 1;
    }
    first = end == last ? last : end + 1;
  }
  return argc > 1 ? 0 : 2;
}
