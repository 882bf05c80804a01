#include "launch/common/model_source.hpp"

#include <ATen/ATen.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/user_path.hpp"
#include "launch/common/ranks.hpp"
#include "optim/finite.hpp"
#include "run/provenance.hpp"
#include "run/run_folder.hpp"
#include "run/run_id.hpp"
#include "tensorfile/tensor_file.hpp"
#include "train/agreement.hpp"
#include "train/checkpoint.hpp"
#include "train/out_of_memory.hpp"
#include "train/prefixes.hpp"
#include "train/weights.hpp"

namespace xtasc::launch {

namespace {

/// Of the pack that a run was trained on; by its provenance where its version did not write it into the config. Empty:
/// nobody knows.
std::string pack_digest_of(const run::RunFolder& run) {
  const std::string digest = run::read_config_of(run).data.pack_digest;
  return digest.empty() && std::filesystem::exists(run.provenance())
             ? run::read_provenance(run.provenance()).pack_digest
             : digest;
}

/// Rank 0's weights on every rank: a training run beside may put others in their place between two ranks' reads.
void take_from_first_rank(tensorfile::TensorDict& tensors, const dist::MpiSession& session) {
  if (session.size() > 1) {
    const std::string bytes =
        session.broadcast(session.rank() == 0 ? tensorfile::tensor_dict_bytes(tensors) : std::string());
    tensors = tensorfile::tensor_file_of(bytes).tensors;
  }
}

LoadedModel load_by(const ModelSource& source, const dist::MpiSession& session, ProgramWatch* watch) {
  const bool by_run = !source.run.empty();
  if (by_run == (!source.config.empty() || !source.weights.empty()) ||
      (!by_run && (source.config.empty() || source.weights.empty()))) {
    fail_usage("name the model by --run DIR, or by --config FILE and --weights W.pt");
  }
  require_input("--weights", source.weights);
  LoadedModel model;
  tensorfile::TensorDict tensors;
  const auto take_config = [&](config::RunConfig config) {
    model.config = std::move(config);
    if (watch != nullptr) {
      watch->set_limit(std::chrono::seconds(model.config.run.stall_seconds), "run.stall_seconds");
      watch->beat("reading the weights");
    }
  };
  if (by_run) {
    const run::RunFolder run = run::find_run(source.run);
    const train::Checkpoint checkpoint(run.checkpoints() / source.checkpoint);
    model.trained_on = pack_digest_of(run);
    take_config(config::read_written_config(run.config(), source.assignments));
    model.weights_path = checkpoint.weights_path();
    tensors = checkpoint.weights();
  } else {
    take_config(config::read_run_config(source.config, source.assignments));
    model.weights_path = source.weights;
    tensors = train::read_network_file(source.weights, model.config.model);
  }
  train::check_same_run(session, model.config);
  take_from_first_rank(tensors, session);
  // A prediction needs no task weights.
  model.config.weighting = {};
  std::erase_if(tensors, [](const auto& named) { return named.first.starts_with("weighting."); });

  model.device = train::choose_device(model.config.run, session);
  train::configure_torch(model.config, session);
  try {
    const net::Sizes sizes = train::sizes_of(model.config.model, model.weights_path.string(), tensors);
    model.learner = std::make_unique<train::Learner>(model.config, sizes, model.device);
    train::load_weights(*model.learner, model.weights_path.string(), tensors);
  } catch (const Error& error) {
    // Weights that the command line brought together with a config.
    const bool fits_by_itself = by_run && source.assignments.empty();
    const bool is_usage = !fits_by_itself && error.code() == ExitCode::failure;
    throw Error(error.what(), is_usage ? ExitCode::usage : error.code(), error.details());
  }
  const std::string fault = optim::first_not_finite(model.learner->weights());
  check(fault.empty(), "{}: {} are not finite: the run that it is of diverged", model.weights_path.string(), fault);
  return model;
}

}  // namespace

void add_model_options(CLI::App& app, ModelSource& source) {
  app.add_option("--run", source.run, "A run folder (or a folder that holds one)");
  app.add_option("--checkpoint", source.checkpoint, "Which of the run's checkpoints")
      ->capture_default_str()
      ->check(CLI::IsMember({"best", "last"}));
  app.add_option("--config", source.config, "Instead of --run: a config (TOML), with --weights");
  app.add_option("--weights", source.weights, "A file of weights by name, as checkpoints hold and torch.save writes");
  app.add_option("--set", source.assignments, "Override one key of the config: section.key=value; may be repeated")
      ->allow_extra_args(false);
}

void watch_by_config(const ModelSource& source, ProgramWatch& watch) {
  take_limit_of(source.assignments, watch);
  watch.beat("reading the config");
  try {
    const config::RunConfig config =
        source.run.empty() ? config::read_run_config(source.config, source.assignments)
                           : config::read_written_config(run::find_run(source.run).config(), source.assignments);
    watch.set_limit(std::chrono::seconds(config.run.stall_seconds), "run.stall_seconds");
  } catch (const Error&) {  // told by load_model()
  }
}

LoadedModel load_model(const ModelSource& source, const dist::MpiSession& session, ProgramWatch* watch) {
  try {
    return load_by(source, session, watch);
  } catch (const std::exception& error) {
    if (const auto known = train::out_of_memory_for_weights(error)) {
      throw *known;
    }
    throw;
  }
}

void tell_of_other_pack(const LoadedModel& model, const std::string& given_pack, const pack::Reader& pack) {
  const std::string& found = pack.schema().content_digest;
  if (given_pack.empty() && !model.trained_on.empty() && model.trained_on != found) {
    log_warning("{} holds another pack by now: its content digest is {}, the run was trained on {}",
                pack.path().string(), found, model.trained_on);
  }
}

}  // namespace xtasc::launch
