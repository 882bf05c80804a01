// What the tests of submissions share: a sweep's folder, and programs that stand in for Slurm's.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "io/atomic_file.hpp"
#include "sweep/slurm/submission.hpp"

namespace xtasc::sweep {

/// A folder with programs that stand in for Slurm's, first in PATH.
class Ledger : public ::testing::Test {
 protected:
  Ledger()
      : root_(std::filesystem::temp_directory_path() /
              std::filesystem::path("xtasc-ledger-" + std::to_string(getpid()))),
        folder_{root_} {
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_ / "bin");
    old_path_ = std::getenv("PATH");
    ::setenv("PATH", ((root_ / "bin").string() + ":" + old_path_).c_str(), 1);
    queue_has("");
  }

 public:
  ~Ledger() override {
    ::setenv("PATH", old_path_.c_str(), 1);
    std::filesystem::remove_all(root_);
  }
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

 protected:
  void program(const std::string& name, const std::string& body) {
    const std::filesystem::path path = root_ / "bin" / name;
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }

  /// \param jobs  as `squeue --json` has them
  void queue_has(const std::string& jobs) { program("squeue", fmt::format("echo '{{\"jobs\": [{}]}}'", jobs)); }

  Submission submission(const std::vector<std::string>& runs, std::int64_t sequence = 1) {
    const std::string token = "abc" + std::to_string(sequence);
    Submission made{.token = token,
                    .folder = folder_.submissions() / token,
                    .sequence = sequence,
                    .created_unix = 0,
                    .runs_per_element = 2,
                    .runs = runs};
    write_submission(made, "#!/bin/bash\n");
    return made;
  }

  static SlurmJob job(const std::string& token, std::int64_t array, std::int64_t element, const std::string& state) {
    return {.token = token, .array = array, .elements = {{element, element}}, .state = state};
  }

  std::filesystem::path root_;
  SweepFolder folder_;
  std::string old_path_;
};

}  // namespace xtasc::sweep
