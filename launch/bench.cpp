// xtasc-bench: measures the pipeline on this machine, beside a peer in the same run where there is one.
#include "launch/bench.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/cli.hpp"
#include "io/atomic_file.hpp"

int main(int argc, char** argv) {
  using namespace xtasc;
  CLI::App app("Measures the pipeline on this machine, beside a peer in the same run.", "xtasc-bench");
  app.require_subcommand(1);
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
  preprocess.frames = 32;
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

  return run_program(app, argc, argv, [&] {
    preprocess.scratch = pack.scratch = scratch;
    preprocess.peer = pack.peer = !no_peer;
    nlohmann::json result =
        preprocess_command->parsed() ? launch::bench_preprocess(preprocess) : launch::bench_pack(pack);
    result["benchmark"] = preprocess_command->parsed() ? "preprocess" : "pack";
    result["machine"] = launch::machine_json();
    if (!json_file.empty()) {
      io::write_file_atomically(json_file, result.dump(2) + "\n");
    }
    return ExitCode::success;
  });
}
