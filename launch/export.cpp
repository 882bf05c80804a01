// xtasc-export: a trained net as one file that others run without any code of ours, ONNX or TorchScript.
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "core/cli.hpp"
#include "core/error.hpp"
#include "core/host_memory.hpp"
#include "core/user_path.hpp"
#include "core/version.hpp"
#include "deploy/onnx_model.hpp"
#include "deploy/recording.hpp"
#include "deploy/torch_script.hpp"
#include "io/atomic_file.hpp"
#include "io/checksum.hpp"
#include "launch/common/model_source.hpp"
#include "launch/common/ranks.hpp"
#include "launch/predict/facts.hpp"
#include "run/provenance.hpp"
#include "run/run_folder.hpp"
#include "run/run_id.hpp"
#include "run/weights_digest.hpp"
#include "task/task.hpp"
#include "train/out_of_memory.hpp"

namespace {

using namespace xtasc;
namespace fs = std::filesystem;

struct Options {
  launch::ModelSource model;
  std::string output, format, size, pack, input = "uint8";
};

struct Format {
  std::string_view name, suffix;
  std::string (*bytes)(const deploy::Recording& recording, const deploy::Metadata& metadata);
};

constexpr std::array<Format, 2> kFormats = {
    {{"onnx", ".onnx", deploy::onnx_bytes}, {"torch", ".pt", deploy::torch_script_bytes}}};

/// By --format, else by the output's suffix.
const Format& format_of(const Options& options) {
  const std::string suffix = fs::path(options.output).extension();
  const auto* found = options.format.empty() ? std::ranges::find(kFormats, suffix, &Format::suffix)
                                             : std::ranges::find(kFormats, options.format, &Format::name);
  if (found == kFormats.end()) {
    fail_usage("--output {}: the file's name must end in .onnx or .pt", options.output);
  }
  if (suffix != found->suffix) {
    fail_usage("--output {}: the name of a file of --format {} must end in {}", options.output, found->name,
               found->suffix);
  }
  return *found;
}

/// Looks at what the command line names before any work: a fault there is the command line's.
void check_paths(const Options& options) {
  io::check_can_write(options.output);
  require_input("--pack", options.pack);
  std::error_code ignored;
  for (const std::string& input : {options.model.weights, options.model.config, options.pack}) {
    if (!input.empty() && fs::equivalent(input, options.output, ignored)) {
      fail_usage("--output {} is the file that is read: name another", options.output);
    }
  }
  if (!options.model.run.empty()) {
    const fs::path checkpoint = run::find_run(options.model.run).checkpoints() / options.model.checkpoint;
    if (!fs::exists(checkpoint)) {
      fail_usage("no checkpoint at {}: the run has no weights yet", checkpoint.string());
    }
    const fs::path checkpoints = fs::weakly_canonical(checkpoint.parent_path());
    const fs::path output = fs::weakly_canonical(options.output);
    if (std::ranges::mismatch(checkpoints, output).in1 == checkpoints.end()) {
      fail_usage("--output {} lies among the run's checkpoints, which resume it: name another folder", options.output);
    }
  }
}

deploy::Metadata metadata_of(const Options& options, const launch::LoadedModel& model, const launch::DataFacts& facts) {
  using Json = nlohmann::json;
  const model::Network& net = model.learner->net;
  deploy::Metadata metadata = {{"producer", "xtasc-export " + version_text()},
                               {"system", model.config.model.system},
                               {"height", std::to_string(facts.height)},
                               {"width", std::to_string(facts.width)},
                               {"input", options.input},
                               {"image_mean", Json(facts.mean).dump()},
                               {"image_std", Json(facts.deviation).dump()},
                               {"weights_digest", io::file_digest(model.weights_path)}};
  Json tasks = Json::array();
  for (const task::Task& task : net.tasks()) {
    tasks.push_back(task.key);
    if (task.kind == task::Kind::classes) {
      metadata["classes"] = Json(facts.class_names).dump();
      Json colors = Json::array();
      for (const figure::Rgb& color : facts.class_colors) {
        colors.push_back(color);
      }
      metadata["class_colors"] = colors.dump();
    }
    if (std::ranges::count(task.metrics, task::kDepthUnit, &task::Metric::unit) > 0) {
      metadata["depth_unit"] = facts.depth_unit;
    }
  }
  metadata["tasks"] = tasks.dump();
  if (!model.trained_on.empty()) {
    metadata["pack_digest"] = model.trained_on;
  }
  if (!options.model.run.empty()) {
    const run::RunFolder run = run::find_run(options.model.run);
    metadata["run"] = fs::weakly_canonical(run.root).filename().string();
    metadata["config_digest"] = run::digest_of_run(run::read_config_of(run));
  }
  return metadata;
}

/// In float32 on the CPU, whatever it was trained in; places in an unpooling are one each, so any order will do.
launch::ModelSource source_of(const Options& options) {
  launch::ModelSource source = options.model;
  for (const char* assignment : {"run.precision=fp32", "run.device=cpu", "train.deterministic=false"}) {
    source.assignments.emplace_back(assignment);
  }
  return source;
}

void export_model(const dist::MpiSession& session, const Options& options, const Format& format, ProgramWatch& watch) {
  check(session.size() == 1, "xtasc-export runs on one rank, mpirun started {}", session.size());
  const launch::LoadedModel model = launch::load_model(source_of(options), session, &watch);
  bound_memory();
  launch::DataFacts facts = launch::find_facts(
      {.pack = options.pack, .size = options.size, .orientation = {}, .resize = {}}, options.model, model);
  if (options.size.empty() && !options.model.run.empty()) {  // whatever the size of --pack, which names classes
    const run::Provenance provenance = run::read_provenance(run::find_run(options.model.run).provenance());
    facts.height = provenance.pack_height > 0 ? provenance.pack_height : facts.height;
    facts.width = provenance.pack_width > 0 ? provenance.pack_width : facts.width;
  }
  model.learner->network->freeze();
  watch.beat("recording the network");
  const deploy::Recording recording = deploy::record(
      model.learner->net, {.input = options.input == "uint8" ? deploy::Input::uint8 : deploy::Input::float32,
                           .height = facts.height,
                           .width = facts.width,
                           .mean = facts.mean,
                           .deviation = facts.deviation});
  watch.beat("comparing the recorded network with the network");
  deploy::check_recording(recording, model.learner->net);
  watch.beat("writing the file");
  const std::string bytes = format.bytes(recording, metadata_of(options, model, facts));
  io::write_file_atomically(options.output, std::string_view(bytes));
  std::vector<std::string> outputs;
  for (const deploy::Output& output : recording.outputs) {
    outputs.push_back(fmt::format("{} ({})", output.name, fmt::join(output.shape, " x ")));
  }
  const std::vector<std::int64_t> image = recording.form.shape(1);
  fmt::print("{} exported to {}: {:.1f} MB\nimage ({}) -> {}\n", model.weights_path.string(), options.output,
             static_cast<double>(bytes.size()) * 1e-6, fmt::join(image.begin() + 1, image.end(), " x "),
             fmt::join(outputs, ", "));
}

}  // namespace

int main(int argc, char** argv) {
  launch::Ranks ranks({.program = "xtasc-export"});
  CLI::App app(
      "Writes a trained net as one file that others run without this software: ONNX (opset 17) or TorchScript.\n"
      "Input `image`, a batch of any size; outputs, of the tasks that the net has: seg_label, seg_probability, depth, "
      "normals.",
      "xtasc-export");
  Options options;
  launch::add_model_options(app, options.model);
  app.add_option("--output", options.output, "The file: NAME.onnx, or NAME.pt for torch.jit.load")
      ->required()
      ->type_name("FILE");
  app.add_option("--format", options.format, "onnx or torch; default: by the file's name")
      ->check(CLI::IsMember({"onnx", "torch"}));
  app.add_option("--size", options.size, "HEIGHTxWIDTH of the images; default: as in training");
  app.add_option("--input", options.input,
                 "uint8: N x H x W x 3 RGB, normalised inside; float: N x 3 x H x W, normalised already")
      ->capture_default_str()
      ->check(CLI::IsMember({"uint8", "float"}));
  app.add_option("--pack", options.pack, "A pack (.h5) whose class names are written; default: the run's");
  return run_program(
      app, argc, argv,
      [&] {
        const Format& format = format_of(options);
        check_paths(options);
        launch::watch_by_config(options.model, ranks.watch());
        export_model(ranks.start(&argc, &argv), options, format, ranks.watch());
        return ExitCode::success;
      },
      ranks.error_hooks(train::out_of_memory_for_images));
}
