#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/run_config.hpp"
#include "dist/communicator.hpp"
#include "loss/objective.hpp"
#include "model/network.hpp"
#include "net/networks.hpp"
#include "tensorfile/tensor_file.hpp"

namespace xtasc::train {

/// The weights of a student's teachers, as the config's files and runs hold them, and what they are known by.
struct TeacherWeights {
  std::map<std::string, tensorfile::TensorDict, std::less<>> tensors;  ///< by the task's key
  std::map<std::string, std::string> digests, recipes;                 ///< see run::Provenance
};

/// Reads them. Empty for a system that learns from none. \param sizes  of the student; of a run that is read they must
/// be the same
/// \throws Error (exit code 2), one line with the key: no teacher for a task; a folder that is no run, a run that is
/// not DONE, or of another system, task, number of classes or size; a file of other weights
[[nodiscard]] TeacherWeights read_teachers(const config::RunConfig& config, const net::Sizes& sizes);

/// The networks that a student learns from, one a task, which nothing moves any more.
class Teachers {
 public:
  /// With random weights.
  Teachers(const config::RunConfig& config, const net::Sizes& sizes, at::Device device, at::ScalarType storage);

  /// \param weights  of rank 0; the others' are not looked at. Collective.
  void load(const TeacherWeights& weights, dist::Communicator& communicator);

  /// Adds what they have inside for a batch to its targets, under loss::feature_key(), in the type of the losses.
  /// \param student  how the student computes
  void teach(const at::Tensor& image_n3hw, const model::Mode& student, loss::Targets& targets) const;

  /// By name, "seg.encoder_block.0.0.weight".
  [[nodiscard]] std::vector<std::pair<std::string, at::Tensor>> weights() const;

 private:
  struct Teacher {
    std::string task;
    std::unique_ptr<model::Network> network;
    std::unique_ptr<model::Network> folded;  ///< what computes, where its batch norms go by running statistics
  };

  void fold();

  bool trains_;
  bool rewrites_;
  std::vector<Teacher> teachers_;
};

}  // namespace xtasc::train
