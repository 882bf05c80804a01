#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/error.hpp"
#include "dist/mpi_session.hpp"

namespace xtasc::launch {

struct SelftestOptions {
  std::string device = "auto";         ///< auto, cpu or cuda
  bool share_gpu = false;              ///< ranks may share a GPU: run.share_gpu
  std::filesystem::path scratch;       ///< for checkpoints; empty: the system's folder for temporary files
  std::filesystem::path json;          ///< the table as JSON; empty: none
  std::int64_t timeout_seconds = 300;  ///< of one check
};

/// What to run first on a new cluster: proves in about a minute that this build computes and communicates rightly on
/// these ranks and devices. Prints what it runs on, then a row of PASS, SKIP or FAIL for each check, with figures.
/// Collective. What only a GPU can show is in it, but has not been run on one yet.
/// \returns failure when a check failed on any rank
[[nodiscard]] ExitCode selftest(const dist::MpiSession& session, const SelftestOptions& options);

}  // namespace xtasc::launch
