#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "core/program_watch.hpp"
#include "dist/mpi_session.hpp"
#include "pack/reader.hpp"
#include "train/setup.hpp"

namespace CLI {
class App;
}

namespace xtasc::launch {

/// Where a trained net comes from, as the command line names it: a run folder, or a config and a weights file.
struct ModelSource {
  std::string run, config, weights;
  std::string checkpoint = "best";
  std::vector<std::string> assignments;
};

/// Adds --run, --checkpoint, --config, --weights and --set to a program.
void add_model_options(CLI::App& app, ModelSource& source);

/// Before MPI starts: the limit of the config that is named, where it can be read; load_model() says why where not.
void watch_by_config(const ModelSource& source, ProgramWatch& watch);

/// A net with its weights, ready to predict.
struct LoadedModel {
  config::RunConfig config;
  std::filesystem::path weights_path;
  std::string trained_on;  ///< content digest of the pack that the run was trained on; empty: not known
  std::unique_ptr<train::Learner> learner;
  at::Device device = at::kCPU;
};

/// Reads config and weights; a checkpoint of a run is verified first. \param watch  gets the config's limit, and is
/// told what is read; nullptr: none \throws Error (exit code 2) when neither or both kinds of source are named.
[[nodiscard]] LoadedModel load_model(const ModelSource& source, const dist::MpiSession& session,
                                     ProgramWatch* watch = nullptr);

/// Warns where the run's own pack is read (no --pack was given), and holds other data than it was trained on.
void tell_of_other_pack(const LoadedModel& model, const std::string& given_pack, const pack::Reader& pack);

}  // namespace xtasc::launch
