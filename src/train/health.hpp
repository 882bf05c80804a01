#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.hpp"
#include "core/error.hpp"
#include "data/dataset.hpp"
#include "dist/mpi_session.hpp"
#include "train/evaluate.hpp"
#include "train/setup.hpp"
#include "train/step.hpp"

// What ends a run rather than let it end well with numbers that mean nothing.
namespace xtasc::train {

/// The numbers of a run mean nothing any more. Thrown on all ranks alike, at the same place.
class Diverged : public Error {
  using Error::Error;
};

/// Where a run is, for messages.
struct RunMoment {
  std::int64_t epoch = 0;  ///< under way, from 1
  std::int64_t step = 0;   ///< last one done, from 1; 0: none since this start
  std::int64_t start = 0;  ///< steps done before this start
};

/// Losses and gradients of each rank's own images, looked at in every step on the device; read here.
/// \param losses  StepResult::losses \returns them on the host. Collective.
/// \throws Diverged, on all ranks alike, naming the first step in which one was not finite, the ranks, and which it was
std::vector<double> require_finite_steps(const dist::MpiSession& session, const Step& step, const at::Tensor& losses,
                                         const RunMoment& moment);

/// Weights, running statistics, and the state of optimizer and weighting; also that all ranks hold the same weights.
/// Collective. \throws Diverged, on all ranks alike, naming the tensor
void require_finite_state(const dist::MpiSession& session, const Learner& learner, const RunMoment& moment);

/// Of every loss, metric and consistency energy that could be measured, the first that is not finite: "validation loss
/// total is nan"; empty where all are finite.
[[nodiscard]] std::string first_not_finite(const Evaluation& evaluation);
/// \param of  what was evaluated, for the message \throws Diverged naming first_not_finite()
void require_finite(const Evaluation& evaluation, const RunMoment& moment, std::string_view of = "validation");

/// Batch norm needs two values a channel in each batch of all ranks together, or piece of one.
/// \param max_steps  train.max_steps: a run that ends before an epoch's last batch never sees it; 0: no limit
/// \param accumulate  train.accumulate: pieces of a batch
/// \throws Error (exit code 2) naming the smallest batch that an epoch will have, and what would be right
void check_batch_norm(const config::ModelSection& model, std::int64_t num_images, std::int64_t batch_size,
                      std::int64_t max_steps, std::int64_t height, std::int64_t width, std::int64_t accumulate = 1);

/// \throws Error when a task has nothing to learn from, or no task of the system anything to be judged by; warns where
/// the validation split lacks one task's.
void check_targets(const config::RunConfig& config, const data::Splits& splits, const std::string& pack);

}  // namespace xtasc::train
