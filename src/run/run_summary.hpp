#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "run/metrics_log.hpp"
#include "run/provenance.hpp"

namespace xtasc::run {

/// Over so many of the last epochs the field's tables average test metrics.
inline constexpr std::size_t kNumMeanEpochs = 10;

/// A finished run: its choices, where its numbers come from, and the numbers that tables show.
struct RunSummary {
  std::filesystem::path folder;
  config::RunConfig config;  ///< every choice, resolved: system, encoder, weighting, seed, ...
  Provenance provenance;     ///< pack, its size and digest, world size, precision, number of parameters
  EpochRecord last;
  std::optional<EpochRecord> best;  ///< lowest validation loss; absent when no epoch had a finite one
  /// `paper` and `dataset` alone: each metric's mean over the last kNumMeanEpochs epochs, where all of them have it.
  /// Absent with fewer epochs, and where held-out images were looked at in their place (data.holdout).
  std::optional<EpochRecord> mean10;
};

/// Whether two runs lie in one folder, however their paths are written.
[[nodiscard]] bool are_side_by_side(const RunSummary& a, const RunSummary& b);

/// A run folder that is in no table, and why: "not finished: 3 of 10 epochs", or the error of its broken file.
struct LeftOutRun {
  std::filesystem::path folder;
  std::string reason;
};

/// What lies below some folders; both lists sorted by folder, none in both.
struct LoadedRuns {
  std::vector<RunSummary> runs;
  std::vector<LeftOutRun> left_out;
};

/// Reads every run folder at or below `roots`, each once even where the roots overlap. A broken run ends up in
/// `left_out` and hides no other. \param begin  called before each run folder is read
/// \throws Error when a root is not a folder
[[nodiscard]] LoadedRuns load_runs(std::span<const std::filesystem::path> roots,
                                   const std::function<void(const std::filesystem::path&)>& begin = {});

}  // namespace xtasc::run
