// What the tests of a sweep's runs share: a small sweep, and run folders as the trainer leaves them.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/error.hpp"
#include "report/results_fixture.hpp"
#include "sweep/folder.hpp"
#include "sweep/state.hpp"

namespace xtasc::sweep {

namespace fs = std::filesystem;

class SweepRuns : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(folder_.path() / "base.toml")
        << "[data]\npack = \"p.h5\"\npack_digest = \"00112233445566778899aabbccddeeff\"\n"
           "[model]\nencoder = \"resnet18\"\n[train]\nepochs = 4\n";
    std::ofstream(folder_.path() / "trial.toml") << fmt::format(
        "base = \"base.toml\"\nseeds = [1, 2]\n[set]\nrun.output = \"{}\"\n"
        "[[point]]\nname = \"XTasC-Net\"\nmodel.system = \"xtasc\"\n"
        "[[point]]\nname = \"Base MT-Net\"\nmodel.system = \"base_mt\"\n"
        "[data_shape]\ntrain = 16\nval = 4\nheight = 64\nwidth = 64\nclasses = 7\n",
        (folder_.path() / "runs").string());
    sweep_ = read_sweep(folder_.path() / "trial.toml");
    files_ = {sweep_.folder};
    prepare_sweep_folder(files_);
  }

  /// A run folder as the trainer leaves it after so many epochs of 10 seconds each.
  void write_run(const PlannedRun& run, int epochs, bool is_done) const {
    const run::RunFolder folder = files_.run(run.id);
    fs::create_directories(folder.root);
    std::ofstream(folder.config()) << config::to_toml(run.config, false);
    run::Provenance provenance;
    provenance.world_size = 2;
    run::write_provenance(folder.provenance(), provenance);
    for (int epoch = 1; epoch <= epochs; ++epoch) {
      run::EpochRecord record;
      record.epoch = epoch;
      record.seconds = {{"train", 8.0}, {"evaluate", 2.0}};
      test::append_metrics(folder.metrics(), record);
    }
    if (is_done) {
      std::ofstream(folder.done_marker()) << "now\n";
    }
  }

  [[nodiscard]] RunStatus status(const PlannedRun& run, const Queue& queue = {}) const {
    return status_of(files_, run, queue);
  }

  test::TempFolder folder_;
  Sweep sweep_;
  SweepFolder files_;
};

}  // namespace xtasc::sweep
