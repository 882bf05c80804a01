#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/setup.hpp"

namespace xtasc::train {

/// What a checkpoint holds of a learner, by name: see Learner::weights and Learner::state.
struct LearnerTensors {
  std::vector<std::pair<std::string, at::Tensor>> weights, state;
};

/// The learner's own tensors, which move on with the training.
[[nodiscard]] LearnerTensors tensors_of(const Learner& learner);

/// A learner's tensors as they were at one moment: a copy on their device, made behind what was asked of the device
/// before, without a host wait. Memory that several tensors share is copied once, as one piece.
class Snapshot {
 public:
  explicit Snapshot(const Learner& learner);

  /// The copy in host memory; the device's is given back. From any thread: the device does it on a stream of its own,
  /// beside the training. Not run on a GPU yet.
  [[nodiscard]] LearnerTensors on_host() &&;

 private:
  at::Device device_;
  LearnerTensors copy_;
  std::optional<c10::Event> is_made_;  ///< none on the CPU, which has no streams
};

}  // namespace xtasc::train
