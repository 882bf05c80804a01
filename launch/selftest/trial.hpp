#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "train/setup.hpp"
#include "train/step.hpp"

namespace xtasc::launch {

/// A small net with every part of a large one, and its training, on any device and any ranks. Starts everywhere with
/// the same weights. Not movable: parts refer to each other.
struct Trial {
  /// Collective over the communicator, which must outlive the trial. \param more  assignments over the small net's
  Trial(config::Precision precision, at::Device device, dist::Communicator& communicator,
        const std::vector<std::string>& more = {});
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  /// Forward and backward of this rank's share of a batch. Collective. \param whole  of all ranks, on the CPU
  train::StepResult compute(const data::Batch& whole);
  /// compute() and the optimizer's move. Collective.
  train::StepResult train(const data::Batch& whole);
  /// This rank's share of a batch, on the device and in the step's type.
  [[nodiscard]] data::Batch share(const data::Batch& whole) const;

  config::RunConfig config;
  at::Device device;
  dist::Communicator& communicator;
  train::Learner learner;
  train::Step step;
};

/// A batch of 64 x 64 images of random numbers on the CPU, with ignored labels and invalid depth; from three images on
/// one has no label and one no depth at all. The same bits on every machine.
[[nodiscard]] data::Batch trial_batch(std::uint64_t seed, std::int64_t num_images);

/// How many images the global batch of step `step` has: in turn one more than ranks, so that the parts are unequal, and
/// one fewer, so that one is empty; at most nine.
[[nodiscard]] std::int64_t trial_batch_size(std::int64_t step, int num_ranks);

/// max |found - expected| / max |expected|, in float64 on the CPU; NaN where either has one.
[[nodiscard]] double deviation(const at::Tensor& found, const at::Tensor& expected);

/// The largest deviation of many, and whose it is.
struct Worst {
  double value = 0.0;
  std::string name;

  /// NaN is larger than any number.
  void add(double other, const std::string& its_name);
};

using NamedValues = std::vector<std::pair<std::string, at::Tensor>>;
/// \throws Error when the names differ
[[nodiscard]] Worst worst_deviation(const NamedValues& found, const NamedValues& expected);
/// Name of the first tensor whose bits differ; empty when none do.
[[nodiscard]] std::string first_difference(const NamedValues& a, const NamedValues& b);

/// The tensors by parameters' names but for those that have no influence: net::biases_before_norms.
[[nodiscard]] NamedValues with_influence(NamedValues values, const config::ModelSection& section);

/// Sets the number of threads of this process until it is destroyed.
class ThreadsFor {
 public:
  explicit ThreadsFor(int num_threads);
  ~ThreadsFor();
  ThreadsFor(const ThreadsFor&) = delete;
  ThreadsFor& operator=(const ThreadsFor&) = delete;

 private:
  int before_;
};

}  // namespace xtasc::launch
