#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/run_config.hpp"
#include "core/program_watch.hpp"
#include "dist/communicator.hpp"
#include "loss/objective.hpp"
#include "model/network.hpp"
#include "net/networks.hpp"
#include "optim/adam.hpp"
#include "optim/optimizer.hpp"
#include "run/provenance.hpp"
#include "train/device.hpp"
#include "train/teachers.hpp"
#include "weighting/task_weighting.hpp"

namespace xtasc::train {

/// The element types that a precision means.
struct Types {
  at::ScalarType storage;  ///< weights, statistics, losses, optimizer: float32 or float64
  at::ScalarType compute;  ///< activations: see model::Mode::compute
};
[[nodiscard]] Types types_of(config::Precision precision);

/// Threads, memory, determinism and TF32 of this process, as the config wants them. Collective.
void configure_torch(const config::RunConfig& config, const dist::MpiSession& session);

/// Versions of the libraries as loaded, and how NCCL may sum where it does ("nccl_algo").
[[nodiscard]] std::map<std::string, std::string> library_versions(const dist::Communicator& communicator);

/// Reads every byte of a pack on rank 0 while the others wait, for as long as it takes. Collective. \throws Error
/// listing what is damaged.
void verify_pack(const dist::MpiSession& session, const std::string& path, ProgramWatch& watch);

/// Of which set of a network's transferred predictions an objective is: of those that a step of training draws, or of
/// all.
enum class TransfersOf { a_step, evaluation };
/// What the config's system minimises.
[[nodiscard]] std::unique_ptr<loss::Objective> objective_of(const config::RunConfig& config, const model::Network& net,
                                                            TransfersOf transfers);

/// Everything that learns, and what moves it. Not movable: parts refer to each other.
struct Learner {
  /// \throws Error when nothing makes the config's system or method
  Learner(const config::RunConfig& config, const net::Sizes& sizes, at::Device device);
  Learner(const Learner&) = delete;
  Learner& operator=(const Learner&) = delete;

  Types types;
  std::unique_ptr<model::Network> network;
  const model::Network& net;  ///< *network
  std::unique_ptr<loss::Objective> objective;
  std::unique_ptr<weighting::TaskWeighting> weighting;
  std::unique_ptr<optim::Optimizer> optimizer;   ///< of the net, and of values that a method trains with it
  std::optional<optim::Adam> adaptors_adam;      ///< of a student's adaptors, at a rate of their own
  std::unique_ptr<Teachers> teachers = nullptr;  ///< of a student, once somebody needs them: for training

  /// Parameters, buffers and the weighting's published values by name: what weights.pt holds.
  [[nodiscard]] std::vector<std::pair<std::string, at::Tensor>> weights() const;
  /// All else that the next step depends on, by name: the optimizer's moments and the weighting's state.
  [[nodiscard]] std::vector<std::pair<std::string, at::Tensor>> state() const;
};

/// Gives a student its teachers. \param weights  rank 0's; does nothing for a system that learns from none. Collective.
void load_teachers(Learner& learner, const config::RunConfig& config, const net::Sizes& sizes,
                   const TeacherWeights& weights, dist::Communicator& communicator);

/// The same with random weights, which the same config makes everywhere: for measurements, which any weights do for.
/// \returns the learner
Learner& with_random_teachers(Learner& learner, const config::RunConfig& config, const net::Sizes& sizes);

/// Rank 0's weights and optimizer state on every rank. Collective.
void broadcast_state(const Learner& learner, dist::Communicator& communicator);

}  // namespace xtasc::train
