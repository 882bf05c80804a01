#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string>

#include "train/setup.hpp"
#include "train/step.hpp"

namespace xtasc::train {

/// Where a run stands between two steps; with the weights and the optimizer's state, all that the next step needs.
struct Progress {
  std::int64_t epoch = 0;                               ///< epochs completed
  std::int64_t step_in_epoch = 0;                       ///< steps done of the epoch under way
  std::int64_t step = 0;                                ///< optimizer steps since the start
  std::array<double, kNumLosses> epoch_loss_sums = {};  ///< over the steps of the epoch under way, times images
  std::array<double, 2> epoch_weight_sums = {};         ///< of the task weights, likewise
  std::int64_t epoch_images = 0;
  double epoch_seconds = 0.0;  ///< spent training in the epoch under way, before this start
  double best_val_loss = std::numeric_limits<double>::infinity();
};

/// What a checkpoint must agree with before it is resumed from.
struct RunIdentity {
  std::string config;       ///< config::identity_text
  std::string pack_digest;  ///< content digest of the pack
};

/// One checkpoint: a folder that is complete or absent.
///
///     weights.pt       the model's tensors by name (torch.load opens it)
///     state.pt         the optimizer's moments and the weighting method's state; only in `last`
///     checkpoint.json  Progress, RunIdentity, and size and XXH3-128 of the other files; written last
///
/// Saved beside, every file flushed to the disk and read back against its checksum, then put in the old one's place by
/// renames; a crash at any point leaves the old or the new one whole (load() finishes what a crash interrupted).
class Checkpoint {
 public:
  explicit Checkpoint(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// \param with_optimizer  false for a checkpoint that is only evaluated
  /// \param before_write  called before each file is written and before the new checkpoint takes the old one's place;
  /// may throw to stop it \throws Error with the path and the system's reason; the previous checkpoint is still there
  /// then.
  void save(
      const Learner& learner, const Progress& progress, const RunIdentity& identity, bool with_optimizer,
      const std::function<void()>& before_write = [] {}) const;

  /// Restores weights and optimizer; nullopt when there is no checkpoint.
  /// \throws Error when a file is damaged, or the identity differs (the first line that does is named).
  [[nodiscard]] std::optional<Progress> load(const Learner& learner, const RunIdentity& identity) const;

  /// Folder of a complete checkpoint, after its files were checked. \throws Error when it is absent or damaged.
  void verify() const;

  [[nodiscard]] std::filesystem::path weights_path() const { return folder_ / "weights.pt"; }
  /// checkpoint.json, for people. \throws Error when absent.
  [[nodiscard]] std::string description() const;

 private:
  void finish_interrupted_save() const;

  std::filesystem::path folder_;
};

}  // namespace xtasc::train
