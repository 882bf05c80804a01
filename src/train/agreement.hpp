#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "dist/mpi_session.hpp"
#include "pack/reader.hpp"

namespace xtasc::train {

/// Something that all ranks must have alike.
struct Claim {
  std::string what;   ///< "train.learning_rate", "the program"
  std::string value;  ///< this rank's
};

/// Compares what the ranks say with rank 0's. Collective; every rank claims the same things in the same order.
/// \throws Error, on all ranks alike, naming the first thing that differs, the ranks, their hosts and both values.
/// \param advice  what would put it right
void check_agreement(const dist::MpiSession& session, const std::vector<Claim>& claims, const std::string& advice);

/// What was built from what, and the libraries that decide numbers, as loaded.
[[nodiscard]] std::vector<Claim> program_claims();
/// Every key of a config but those that may differ between hosts: threads, limits of time, paths of input files.
[[nodiscard]] std::vector<Claim> config_claims(const config::RunConfig& config);
/// What in a rank's environment decides how NCCL sums.
[[nodiscard]] std::vector<Claim> nccl_claims();
[[nodiscard]] std::vector<Claim> pack_claims(const pack::Reader& pack);

/// program_claims(), config_claims() and some more, compared. The first thing that the ranks of a run say to each
/// other, before any of them acts on what it read; in every version, so that different versions can tell. Collective.
void check_same_run(const dist::MpiSession& session, const config::RunConfig& config,
                    const std::vector<Claim>& more = {});

}  // namespace xtasc::train
