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
#include "train/teachers.hpp"

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

/// What of the training split is trained on: data.holdout takes images out of it, then data.label_share and
/// data.one_label hide the labels, of both parts, that the config does not keep, and the log says what is left.
/// \throws Error (exit code 2) where the share is no image, or all of them
void choose_samples(const config::RunConfig& config, data::Splits& splits);

/// Whether a metrics.jsonl holds anything.
[[nodiscard]] bool has_epochs(const std::filesystem::path& metrics);

/// \throws Error where a teacher was trained anew, or its file changed, since the run began
void check_teachers_of(const run::RunFolder& folder, const TeacherWeights& teachers);

/// A resumed run's own files are looked at: what is damaged and not needed is set aside and said. Rank 0 only.
void look_after_records(const run::RunFolder& folder, const config::RunConfig& config);

}  // namespace xtasc::train
