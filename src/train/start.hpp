#pragma once

#include <filesystem>
#include <optional>

#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "dist/mpi_session.hpp"
#include "pack/reader.hpp"
#include "run/attempt.hpp"
#include "run/run_folder.hpp"
#include "train/run.hpp"

// What a start does with the run folder and the config before anything is trained.
namespace xtasc::train {

/// The config with the digests of its files. Collective; weights are rank 0's to read. \throws Error where a digest
/// that the config names is another
[[nodiscard]] config::RunConfig with_digests(const dist::MpiSession& session, config::RunConfig config,
                                             const pack::Reader& pack);

/// Rank 0 claims the folder, unless the run is already done; all ranks learn which. Collective. \returns whether it is
/// done \throws Error when another process trains the run, or the folder is DONE but another run's
[[nodiscard]] bool prepare_folder(const dist::MpiSession& session, const config::RunConfig& config,
                                  const run::RunFolder& folder, const RunOptions& options,
                                  std::optional<run::RunClaim>& claim);

/// data.label_share and data.one_label: hides what the config does not keep, and says what is left.
void keep_labels(const config::RunConfig& config, data::Dataset& train);

/// Whether a metrics.jsonl holds anything.
[[nodiscard]] bool has_epochs(const std::filesystem::path& metrics);

/// A resumed run's own files are looked at: what is damaged and not needed is set aside and said. Rank 0 only.
void look_after_records(const run::RunFolder& folder, const config::RunConfig& config);

}  // namespace xtasc::train
