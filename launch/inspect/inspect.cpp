// xtasc-inspect: looks into models, packs, checkpoints, single steps and the paper's Proposition, and tests the
// machine.
#include "launch/inspect/inspect.hpp"

#include <CLI/CLI.hpp>
#include <optional>

#include "core/cli.hpp"
#include "core/log.hpp"
#include "core/user_path.hpp"
#include "launch/common/ranks.hpp"
#include "launch/selftest/selftest.hpp"
#include "train/out_of_memory.hpp"

int main(int argc, char** argv) {
  using namespace xtasc;
  launch::Ranks ranks({.program = "xtasc-inspect"});
  ranks.watch().rest();  // nobody knows how long its work takes: only the start of MPI is watched
  CLI::App app(
      "Looks into models, packs, checkpoints, single training steps and the paper's Proposition; tests a machine.",
      "xtasc-inspect");
  app.require_subcommand(1);

  std::string config_file;
  std::vector<std::string> assignments;
  const auto add_config = [&](CLI::App* command, bool required) {
    command->add_option("--config", config_file, "A run's config (TOML)")->required(required);
    command->add_option("--set", assignments, "Override one key: section.key=value; may be repeated")
        ->allow_extra_args(false);
  };

  CLI::App* model = app.add_subcommand("model", "Layers and parameters of a config's net");
  std::int64_t num_classes = 7;
  add_config(model, false);
  model->add_option("--classes", num_classes, "Number of classes")->capture_default_str()->check(CLI::Range(2, 255));
  std::vector<std::int64_t> layers_at;
  model
      ->add_option("--layers", layers_at,
                   "Instead a line a convolution, with its multiply-adds for one image of HEIGHT WIDTH, forward")
      ->expected(2)
      ->type_name("HEIGHT WIDTH")
      ->check(CLI::PositiveNumber);

  CLI::App* pack = app.add_subcommand("pack", "What a pack holds");
  std::string pack_file;
  pack->add_option("PACK", pack_file, "The pack (.h5)")->required();

  CLI::App* checkpoint = app.add_subcommand(
      "checkpoint", "What a checkpoint holds, after its checksums were verified; or the tensors of one file");
  std::string checkpoint_path;
  checkpoint
      ->add_option("PATH", checkpoint_path,
                   "A checkpoint folder (RUN/checkpoint/last or .../best), or a .pt, .pth or .safetensors file")
      ->required();

  CLI::App* step =
      app.add_subcommand("step", "One forward and backward from given weights on given samples, into one .pt file");
  launch::StepFiles files;
  add_config(step, true);
  step->add_option("--weights", files.weights, "W.pt: dictionary of the model's tensors")->required();
  step->add_option("--samples", files.samples, "S.pt: dictionary of image and of a truth a task: label, depth")
      ->required();
  step->add_option("--output", files.output, "O.pt: predictions, losses, gradients; weights after the steps")
      ->required();
  step->add_option("--steps", files.num_steps, "Optimizer steps on the same samples")->check(CLI::Range(0, 1000000));

  CLI::App* selftest = app.add_subcommand(
      "selftest",
      "What to run first on a new cluster, under mpirun with the ranks of a real run: communicators, N ranks against "
      "one, device against CPU, checkpoints, resuming, bandwidth; a table of PASS, SKIP and FAIL, exit code 1 on any "
      "FAIL. The checks of a GPU compile, but have not been run on one yet");
  launch::SelftestOptions selftest_options;
  selftest->add_option("--device", selftest_options.device, "Where to compute")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  selftest->add_flag("--share-gpu", selftest_options.share_gpu,
                     "Let ranks share a GPU (run.share_gpu): NCCL between two ranks on a machine with one GPU");
  selftest->add_option("--scratch", selftest_options.scratch,
                       "Folder for checkpoints that rank 0 writes and removes (150 MB); default: the system's for "
                       "temporary files. Name one on the file system that runs will use");
  selftest->add_option("--json", selftest_options.json, "The table as a JSON file too");
  selftest->add_option("--timeout", selftest_options.timeout_seconds, "Seconds after which a check counts as hanging")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();

  CLI::App* consistency = app.add_subcommand(
      "consistency", "The paper's Proposition on a trained net: both sides, its conditions, and which of them held");
  launch::ConsistencyOptions proposition;
  launch::add_model_options(*consistency, proposition.model);
  consistency->add_option("--against", proposition.against,
                          "A run of the other system (align beside xtasc), on the same images");
  consistency->add_option("--pack", proposition.pack, "The pack (.h5); default: the one of the config");
  consistency->add_option("--split", proposition.split, "Which images")
      ->capture_default_str()
      ->check(CLI::IsMember({"val", "train"}));
  consistency->add_option("--json", proposition.json, "Also write everything to this file");

  return run_program(
      app, argc, argv,
      [&] {
        const auto config = [&] {
          return config_file.empty() ? config::run_config_of(assignments)
                                     : config::read_run_config(config_file, assignments);
        };
        if (model->parsed()) {
          if (layers_at.empty()) {
            launch::inspect_model(config(), num_classes);
          } else {
            launch::inspect_layers(config(), num_classes, layers_at[0], layers_at[1]);
          }
        } else if (pack->parsed()) {
          require_input("PACK", pack_file);
          launch::inspect_pack(pack_file);
        } else if (checkpoint->parsed()) {
          require_input("DIR", checkpoint_path);
          launch::inspect_checkpoint(checkpoint_path);
        } else {
          const dist::MpiSession& session = ranks.start(&argc, &argv);
          ranks.watch().rest();
          if (selftest->parsed()) {
            return launch::selftest(session, selftest_options);
          }
          if (step->parsed()) {
            launch::inspect_step(session, config(), files);
          } else {
            launch::inspect_consistency(session, proposition);
          }
        }
        return ExitCode::success;
      },
      ranks.error_hooks(train::out_of_memory_error));
}
