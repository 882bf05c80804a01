#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "train/checkpoint.hpp"
#include "train/step.hpp"

namespace xtasc::train {

/// What the steps of an epoch add up to, on the device: reading it every step would wait for each.
class EpochSums {
 public:
  /// From where the epoch stands. \param counts_by_term  whether steps may count nothing of a term
  EpochSums(Progress& progress, const Learner& learner, bool counts_by_term, at::Device device);

  void add(const StepResult& result, std::int64_t images);
  /// Waits for the device.
  void store(Progress& progress) const;

 private:
  at::Tensor losses_, weights_, term_images_, conflicts_;  ///< 1-D float64; without elements where nothing is added up
};

/// None of any epoch.
void clear_epoch(Progress& progress);

}  // namespace xtasc::train
