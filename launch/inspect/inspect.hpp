#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "dist/mpi_session.hpp"
#include "launch/common/model_source.hpp"

namespace xtasc::launch {

/// Prints the net of a config: a line a layer group with its parameters, and the totals; with model.encoder_weights,
/// also whether that file fits.
void inspect_model(const config::RunConfig& config, std::int64_t num_classes);

/// Prints a line a convolution of a config's net, for images of height x width, and the sums.
/// \throws Error unless both are multiples of 32
void inspect_layers(const config::RunConfig& config, std::int64_t num_classes, std::int64_t height, std::int64_t width);

/// Prints what a pack holds.
void inspect_pack(const std::filesystem::path& path);

/// Verifies a checkpoint folder and prints where it stands and its tensors; or prints the tensors of a single file, in
/// any format that tensorfile reads.
void inspect_checkpoint(const std::filesystem::path& path);

struct StepFiles {
  std::filesystem::path weights, samples, output;
  std::int64_t num_steps = 0;
};

/// One forward and backward from given weights on given samples, then num_steps optimizer steps, all into one file:
/// predictions, losses and every gradient of the first step; the totals of all steps and the weights after them.
/// What outside programs compare with. Collective: ranks split the samples, rank 0 writes.
void inspect_step(const dist::MpiSession& session, const config::RunConfig& config, const StepFiles& files);

struct ConsistencyOptions {
  ModelSource model;
  std::string against;  ///< a run folder of the other system, or empty
  std::string pack, split = "val", json;
};

/// Both sides of the paper's Proposition on a trained net, its conditions, and which of both held: see
/// analysis::Proposition. Collective: ranks split the images, rank 0 prints and writes.
/// \throws Error (exit code 2) for a system without task-transfer nets, or when both runs have the same system.
void inspect_consistency(const dist::MpiSession& session, const ConsistencyOptions& options);

}  // namespace xtasc::launch
