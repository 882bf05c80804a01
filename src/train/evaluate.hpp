#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analysis/consistency.hpp"
#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "metric/metrics.hpp"
#include "model/network.hpp"
#include "train/setup.hpp"

namespace xtasc::train {

struct Evaluation {
  /// The objective's terms: means over the whole set; total: the unweighted sum of the tasks' losses (eq. 11), by which
  /// the best checkpoint is chosen (a weighted total would move with the weights).
  std::map<std::string, double> losses;
  metric::Report report;
  /// analysis::ConsistencyEnergy; empty for a system that predicts no task from another.
  metric::Values consistency;
};

/// A network's transfers by their tasks.
[[nodiscard]] std::vector<analysis::TaskPair> pairs_of(const model::Network& net);

/// What evaluate() adds up over batches on the device, without a host wait until result().
class EvaluationSums {
 public:
  /// \param config, learner  must outlive this
  EvaluationSums(const config::RunConfig& config, const Learner& learner);

  void add(const data::Batch& batch);
  /// Adds up over ranks. Collective.
  void sum_over_ranks(dist::Communicator& communicator);
  [[nodiscard]] Evaluation result() const;

 private:
  std::unique_ptr<loss::Objective> objective_;
  std::unique_ptr<model::Network> folded_;  ///< null: the net as it is
  const model::Network& net_;
  model::Mode mode_;
  at::ScalarType storage_;
  metric::Metrics metrics_;
  analysis::ConsistencyEnergy consistency_;
  at::Tensor summed_;  ///< (2 terms) float64: sums, then counts
};

/// Losses, both metric protocols and the consistency energy over a data set, each image once, batches dealt out to the
/// ranks in turn. The result is the same for any number of ranks, up to the order of float64 sums. Collective. \param
/// on_batch  called after each batch with the images this rank has done, for progress
[[nodiscard]] Evaluation evaluate(const config::RunConfig& config, const Learner& learner, const data::Dataset& dataset,
                                  dist::Communicator& communicator,
                                  const std::function<void(std::int64_t images_done)>& on_batch = {});

/// The same, unless it is stopped. \param goes_on  called after each batch as on_batch, equally often on every rank;
/// false, then on all ranks alike, ends it. \returns nullopt when it was stopped: nothing has changed
[[nodiscard]] std::optional<Evaluation> evaluate_unless_stopped(
    const config::RunConfig& config, const Learner& learner, const data::Dataset& dataset,
    dist::Communicator& communicator, const std::function<bool(std::int64_t images_done)>& goes_on);

}  // namespace xtasc::train
