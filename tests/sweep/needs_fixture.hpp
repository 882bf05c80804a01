// What the tests of `needs` share: a sweep file of students and their teachers.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "report/results_fixture.hpp"
#include "sweep/folder.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

namespace fs = std::filesystem;

inline constexpr const char* kTeachers =
    "[[point]]\nname = \"STAN\"\nmodel.system = \"stan\"\nmodel.tasks = [\"segmentation\"]\n"
    "[[point]]\nname = \"STAN\"\nmodel.system = \"stan\"\nmodel.tasks = [\"depth\"]\n";
inline constexpr const char* kStudent = "[[point]]\nname = \"KD4MTL\"\nmodel.system = \"kd4mtl\"\nneeds = [\"STAN\"]\n";

class NeedsTest : public testing::Test {
 protected:
  void SetUp() override { write_base("pack_digest = \"00112233445566778899aabbccddeeff\"\n"); }

  void write_base(const std::string& data) const {
    std::ofstream(folder_ / "base.toml") << "[data]\npack = \"p.h5\"\n" << data << "[train]\nepochs = 4\n";
  }

  /// \param points  behind the three lines of a head
  [[nodiscard]] Sweep read(const std::string& points, const std::vector<std::string>& assignments = {}) const {
    std::ofstream(folder_ / "trial.toml") << fmt::format(
        "base = \"base.toml\"\nseeds = [1, 2]\nset.run.output = \"{}\"\n{}", (folder_ / "runs").string(), points);
    return read_sweep(folder_ / "trial.toml", assignments);
  }

  /// The faults that it is refused with, without the folder's path.
  [[nodiscard]] std::vector<std::string> faults(const std::string& points,
                                                const std::vector<std::string>& assignments = {}) const {
    try {
      static_cast<void>(read(points, assignments));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      std::vector<std::string> lines = error.details();
      if (lines.empty()) {
        lines.emplace_back(error.what());
      }
      const std::string path = folder_.path().string() + "/";
      for (std::string& line : lines) {
        for (auto at = line.find(path); at != std::string::npos; at = line.find(path)) {
          line.erase(at, path.size());
        }
      }
      return lines;
    }
    return {"accepted"};
  }

  /// A run's folder as the trainer leaves it.
  static void finish(const Sweep& sweep, const PlannedRun& run) {
    const run::RunFolder folder = SweepFolder{sweep.folder}.run(run.id);
    fs::create_directories(folder.root);
    test::write_text(folder.config(), config::to_toml(run.config, false));
    test::write_text(folder.done_marker(), "now\n");
  }

  test::TempFolder folder_;
};

}  // namespace xtasc::sweep
