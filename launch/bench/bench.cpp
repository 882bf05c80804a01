// xtasc-bench: measures the pipeline on this machine, beside a peer in the same run where there is one.
#include "launch/bench/bench.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "core/cli.hpp"
#include "core/log.hpp"
#include "io/atomic_file.hpp"
#include "launch/bench/fields.hpp"
#include "launch/bench/launches.hpp"
#include "launch/common/ranks.hpp"
#include "pack/schema.hpp"
#include "train/agreement.hpp"
#include "train/out_of_memory.hpp"

int main(int argc, char** argv) {
  using namespace xtasc;
  launch::Ranks ranks({.program = "xtasc-bench"});
  ranks.watch().rest();  // nobody knows how long its work takes: only the start of MPI is watched
  CLI::App app("Measures the pipeline on this machine, beside a peer in the same run.", "xtasc-bench");
  app.require_subcommand(1);
  app.footer("Fields of --json: xtasc-bench --help");
  std::string json_file, scratch;
  bool no_peer = false;
  const auto add_common = [&](CLI::App* command, const char* peer) {
    command->add_option("--json", json_file, "Write the figures here too")->type_name("FILE");
    command->add_option("--scratch", scratch, "Folder for files that are made and removed (default: the system's)")
        ->type_name("DIR");
    command->add_flag("--no-peer", no_peer, std::string("Leave out ") + peer);
  };

  launch::PreprocessBench preprocess;
  preprocess.workers = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  preprocess.frames = 64;
  CLI::App* preprocess_command =
      app.add_subcommand("preprocess", "Packing Cityscapes: samples/s against inflating alone and OpenCV in Python");
  preprocess_command->add_option("--root", preprocess.root, "A Cityscapes download (default: frames are made)")
      ->type_name("DIR");
  preprocess_command->add_option("--frames", preprocess.frames, "Frames to make, or to use of the download")
      ->check(CLI::Range(4, 100000))
      ->capture_default_str();
  preprocess_command->add_option("--workers", preprocess.workers, "Threads, and the peer's processes")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  preprocess_command->add_option("--rounds", preprocess.rounds, "Rounds, each of all contestants")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add_common(preprocess_command, "OpenCV in Python");

  launch::PackBench pack;
  pack.samples = 2975;
  CLI::App* pack_command = app.add_subcommand("pack", "Reading a pack: GB/s into memory and onto the device");
  pack_command->add_option("--pack", pack.pack, "A pack (default: one of Cityscapes' size is made)")->type_name("PACK");
  pack_command->add_option("--samples", pack.samples, "Samples of the pack that is made")
      ->check(CLI::Range(1, 10000000))
      ->capture_default_str();
  pack_command->add_option("--device", pack.device, "auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  pack_command->add_option("--rounds", pack.rounds, "Rounds, each of all contestants")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add_common(pack_command, "h5py");

  launch::StepBench step;
  std::string config_file, precision, run_device;
  std::vector<std::string> assignments;
  const auto add_config_options = [&](CLI::App* command) {
    command->add_option("--config", config_file, "A run's config (TOML)");
    command->add_option("--set", assignments, "Override one key: section.key=value; may be repeated")
        ->allow_extra_args(false);
    command->add_option("--precision", precision, "Short for --set run.precision=...")
        ->check(CLI::IsMember({"fp32", "tf32", "bf16", "fp64"}));
    command->add_option("--device", run_device, "Short for --set run.device=...")
        ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
    command->add_option("--json", json_file, "Write the figures here too")->type_name("FILE");
  };
  const auto add_step_options = [&](CLI::App* command) {
    add_config_options(command);
    command->add_option("--classes", step.num_classes, "Number of classes")
        ->check(CLI::Range(2, 254))
        ->capture_default_str();
    command->add_option("--height", step.height, "Of the images; a multiple of 32")->capture_default_str();
    command->add_option("--width", step.width, "Of the images; a multiple of 32")->capture_default_str();
    command->add_option("--rounds", step.rounds, "Steps that are timed, after one that is not")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
  };
  CLI::App* step_command = app.add_subcommand(
      "step", "Training steps; without a config: xtasc, resnet34, 7 classes, 128 x 256, batch 8. Also under mpirun");
  add_step_options(step_command);
  step_command->add_flag("--peer", step.peer,
                         "Take turns with plain PyTorch on the same device, and print the ratios; one rank only");
  step_command->add_flag("--peer-compiled", step.peer_compiled,
                         "Also its best form under torch.compile, which takes minutes to compile; means --peer");
  step_command->add_flag("--launches", step.launches,
                         "Count the kernels of a step in CUDA's forms instead of timing it; on the CPU, one rank");
  CLI::App* weighting_command =
      app.add_subcommand("weighting", "A training step by weighting method, against equal weights. Also under mpirun");
  add_step_options(weighting_command);

  launch::ScalingBench scaling;
  CLI::App* scaling_command = app.add_subcommand(
      "scaling", "Step time against batch and image size; under mpirun -np 2 or more against ranks too");
  add_step_options(scaling_command);

  std::vector<std::string> sizes;
  scaling_command->add_option("--sizes", sizes, "Image sizes to measure (default: 96x128,128x256,288x384)")
      ->delimiter(',')
      ->type_name("HxW");

  launch::AllreduceBench allreduce;
  CLI::App* allreduce_command = app.add_subcommand("allreduce", "Sums over the ranks: ms and GB/s. Under mpirun");
  add_config_options(allreduce_command);
  allreduce_command->add_option("--mebibytes", allreduce.mebibytes, "Sizes of the vectors")
      ->delimiter(',')
      ->check(CLI::Range(1e-6, 1e5))
      ->capture_default_str();
  allreduce_command->add_option("--rounds", allreduce.rounds, "Sums of each size")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();

  launch::EvaluateBench evaluate;
  evaluate.samples = 128;
  CLI::App* evaluate_command = app.add_subcommand(
      "evaluate", "Losses and both metric protocols on a validation set: images/s. Also under mpirun");
  add_config_options(evaluate_command);
  evaluate_command->add_option("--pack", evaluate.pack, "A pack (default: one of noise is made)")->type_name("PACK");
  evaluate_command->add_option("--samples", evaluate.samples, "Samples of the pack that is made")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  evaluate_command->add_option("--rounds", evaluate.rounds, "Evaluations that are timed, after one that is not")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();

  launch::ExportBench exported;
  CLI::App* export_command =
      app.add_subcommand("export", "Predictions in fp32 on the CPU, in turns with onnxruntime on the exported net");
  add_config_options(export_command);
  export_command->add_option("--classes", exported.num_classes, "Number of classes")
      ->check(CLI::Range(2, 254))
      ->capture_default_str();
  export_command->add_option("--height", exported.height, "Of the images; a multiple of 32")->capture_default_str();
  export_command->add_option("--width", exported.width, "Of the images; a multiple of 32")->capture_default_str();
  export_command->add_option("--batch", exported.batch, "Images at once")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  export_command->add_option("--rounds", exported.rounds, "Rounds that are timed, after one that is not")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  export_command->add_flag("--no-peer", no_peer, "Leave out onnxruntime");

  app.footer(launch::kJsonFields);  // the subcommands have taken theirs over

  return run_program(
      app, argc, argv,
      [&] {
        if (!json_file.empty()) {
          io::check_can_write(json_file);
        }
        nlohmann::json result;
        std::string name;
        if (preprocess_command->parsed()) {
          preprocess.scratch = scratch;
          preprocess.peer = !no_peer;
          name = "preprocess";
          result = launch::bench_preprocess(preprocess);
        } else if (pack_command->parsed()) {
          pack.scratch = scratch;
          pack.peer = !no_peer;
          name = "pack";
          result = launch::bench_pack(pack);
        } else {
          const dist::MpiSession& session = ranks.start(&argc, &argv);
          ranks.watch().rest();
          if (!precision.empty()) {
            assignments.push_back("run.precision=" + precision);
          }
          if (!run_device.empty()) {
            assignments.push_back("run.device=" + run_device);
          }
          const auto config = config_file.empty() ? config::run_config_of(assignments)
                                                  : config::read_run_config(config_file, assignments);
          train::check_same_run(session, config);
          if (allreduce_command->parsed()) {
            name = "allreduce";
            result = launch::bench_allreduce(allreduce, session, config);
          } else if (evaluate_command->parsed()) {
            name = "evaluate";
            evaluate.scratch = scratch;
            result = launch::bench_evaluate(evaluate, session, config);
          } else if (export_command->parsed()) {
            name = "export";
            std::ignore = pack::parse_size("--height, --width", fmt::format("{}x{}", exported.height, exported.width));
            exported.scratch = scratch;
            exported.peer = !no_peer;
            result = launch::bench_export(exported, session, config);
          } else {
            std::ignore = pack::parse_size("--height, --width", fmt::format("{}x{}", step.height, step.width));
            step.peer |= step.peer_compiled;
            scaling.step = step;
            if (!sizes.empty()) {
              scaling.sizes.clear();
            }
            for (const std::string& size : sizes) {
              scaling.sizes.push_back(pack::parse_size("--sizes", size));
            }
            name = step_command->parsed() ? "step" : (weighting_command->parsed() ? "weighting" : "scaling");
            result = step.launches                 ? launch::bench_launches(step, session, config)
                     : step_command->parsed()      ? launch::bench_step(step, session, config)
                     : weighting_command->parsed() ? launch::bench_weighting(step, session, config)
                                                   : launch::bench_scaling(scaling, session, config);
          }
        }
        result["benchmark"] = name;
        result["command"] = launch::command_text(argc, argv);
        result["machine"] = launch::machine_json();
        if (!json_file.empty() && (!ranks.session() || ranks.session()->rank() == 0)) {
          io::write_file_atomically(json_file, result.dump(2) + "\n");
        }
        return ExitCode::success;
      },
      ranks.error_hooks(train::out_of_memory_error));
}
