#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "metric/metrics.hpp"
#include "task/task.hpp"

namespace xtasc::analysis {

/// One task's prediction made from another's, over a batch, and what it is set against.
struct TransferredBatch {
  at::Tensor direct, transferred;  ///< (N, C, H, W), of the target task: from the image, from the other task
  at::Tensor truth;                ///< as metric::TaskMetrics::add() has it
};

/// An ordered pair of tasks: what is predicted from what.
struct TaskPair {
  task::Task from, to;
};

/// Consistency energy: how far the transferred predictions are from the direct ones, batch by batch, without a host
/// wait until report(). Of each pair, by the target's kind:
///
///     classes      mean over labelled pixels of KL(softmax(direct) || softmax(transferred)), nats
///     depth        mean over pixels with valid depth of |direct - transferred|, in the pack's depth unit
///     unit_vector  mean over pixels with a valid vector of the angle between the two, degrees
///     energy_2021  0.5 * [KL terms averaged over classes too] + 0.5 * |depth - seg_to_depth|, means over all pixels:
///                  the 2021 code's number to the letter, where segmentation and depth are predicted from each other.
///                  It asks for no labels, but depends on C and on the depth unit.
///
/// All are pooled over the set, so they depend neither on batches nor on ranks. Added up in float64.
///
/// Source: the idea is Zamir et al. 2020, arXiv:2006.04096; the formula is that of the 2021 code, whose KL
/// and L1 take no masks.
class ConsistencyEnergy {
 public:
  ConsistencyEnergy(std::vector<TaskPair> pairs, at::Device device);

  /// \param batches  one a pair, in their order
  void add(const std::vector<TransferredBatch>& batches);

  /// Adds up over ranks. \param sum  sums a float64 tensor in place. Collective.
  void sum_over_ranks(const std::function<void(const at::Tensor&)>& sum);

  /// By the pair, "seg_to_depth"; of two tasks, by the target, "depth"; and energy_2021. Absent where nothing could be
  /// counted.
  [[nodiscard]] metric::Values report() const;

 private:
  [[nodiscard]] std::string name_of(const TaskPair& pair) const;
  /// Where the pair stands; their number where it is none of them.
  [[nodiscard]] std::size_t place_of(std::string_view from, std::string_view to) const;

  std::vector<TaskPair> pairs_;
  at::Tensor sums_;  ///< (2 pairs + 2) float64: sum and count of each, the last one's (energy_2021) in pixels
};

}  // namespace xtasc::analysis
