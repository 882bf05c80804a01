#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "tensorfile/tensor_file.hpp"
#include "train/setup.hpp"
#include "train/snapshot.hpp"
#include "train/step.hpp"

namespace xtasc::train {

/// Where a run stands between two steps; with the weights and the optimizer's state, all that the next step needs.
struct Progress {
  std::int64_t epoch = 0;                    ///< epochs completed
  std::int64_t step_in_epoch = 0;            ///< steps done of the epoch under way
  std::int64_t step = 0;                     ///< optimizer steps since the start
  std::vector<double> epoch_loss_sums = {};  ///< StepResult::losses over the steps of the epoch under way, times images
  std::vector<double> epoch_weight_sums = {};  ///< of the task weights, likewise; both empty: no step yet
  /// By term: the images of the steps that counted anything of it; empty where all steps count as they are.
  std::vector<double> epoch_term_images = {};
  std::vector<double> epoch_conflict_sums = {};  ///< of conflict_counts(); empty: no step had the tasks' gradients
  /// Of the epoch under way on this rank: seconds by train::Phase, then those in sums over the ranks. Empty: no step
  /// yet.
  std::vector<double> epoch_phase_seconds = {};
  std::int64_t epoch_images = 0;
  double epoch_seconds = 0.0;  ///< spent training in the epoch under way, before this start
  double best_val_loss = std::numeric_limits<double>::infinity();
  std::int64_t best_epoch = 0;  ///< which one, from 1; 0: none yet
};

/// Where a run of these losses and tasks stands before its first step.
[[nodiscard]] Progress no_progress(const loss::Objective& objective);

/// As text, and back: the same to the last bit. \throws nlohmann::json::exception for another text
[[nodiscard]] std::string to_text(const Progress& progress);
[[nodiscard]] Progress progress_of(const std::string& text);

/// What a checkpoint must agree with before it is resumed from.
struct RunIdentity {
  std::string config;       ///< config::identity_text
  std::string pack_digest;  ///< content digest of the pack
};

/// A checkpoint that is whole, but another run's. Nothing is wrong with its files.
class ForeignCheckpoint : public Error {
  using Error::Error;
};

/// A file of a checkpoint is missing, or not what was written. Anything else that keeps it from being read, as a file
/// system that fails, is a plain Error: the checkpoint may be whole.
class DamagedCheckpoint : public Error {
  using Error::Error;
};

/// What a resumed run takes from a checkpoint beside the learner's tensors.
struct Resumed {
  Progress progress;
  std::string metrics;  ///< the lines of metrics.jsonl of its epochs
};

/// One checkpoint: a folder that is complete or absent.
///
///     weights.pt       the model's tensors by name (torch.load opens it)
///     state.pt         the optimizer's moments and the weighting method's state
///     metrics.jsonl    the epochs so far
///     step             the number of optimizer steps, a line for the batch script
///     checkpoint.json  Progress, RunIdentity, size and XXH3-128 of the other files, and of itself; written last
///
/// Saved beside, every file flushed to the disk and read back against its checksum, then put in the old one's place by
/// renames; a crash at any point leaves the old or the new one whole (finish_interrupted_save() finishes what a crash
/// interrupted). A reader sees one generation whole, also while another is put in its place.
class Checkpoint {
 public:
  /// Called before each file is written and before a folder takes another's place; may throw to stop it.
  using BeforeWrite = std::function<void()>;

  explicit Checkpoint(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Writes the new checkpoint beside the old one, complete, but not yet in its place. \param tensors  nobody writes to
  /// them meanwhile
  /// \throws Error with the path and the system's reason; the old checkpoint is untouched and nothing is left of the
  /// new one then.
  void prepare(
      const LearnerTensors& tensors, const Progress& progress, const RunIdentity& identity,
      const std::string& metrics = {}, const BeforeWrite& before_write = [] {}) const;
  /// Puts what prepare() wrote into the old one's place. \param older  where the old one goes, in the place of what is
  /// there; empty: it is removed
  void commit(
      const std::filesystem::path& older = {}, const BeforeWrite& before_write = [] {}) const;
  /// prepare() and commit().
  void save(
      const LearnerTensors& tensors, const Progress& progress, const RunIdentity& identity,
      const std::string& metrics = {}, const BeforeWrite& before_write = [] {}) const;
  /// Takes the place of this checkpoint with the files of `other`, whose prepare() has just been called, or that is
  /// complete: by links to the same files, or copies where the file system has no links.
  void save_as(
      const Checkpoint& other, const BeforeWrite& before_write = [] {}) const;

  /// Puts back what a save that was interrupted left halfway, and removes what it left over.
  void finish_interrupted_save() const;

  [[nodiscard]] bool exists() const;
  /// Whether it is whole and was saved at the end of the epoch that was the best until then.
  [[nodiscard]] bool is_of_best_epoch() const;
  /// Restores weights and optimizer; nullopt when there is no checkpoint.
  /// \throws ForeignCheckpoint when the identity differs (the first key that does is named); Error when a file is
  /// damaged. The learner is as it was then.
  [[nodiscard]] std::optional<Resumed> load(const Learner& learner, const RunIdentity& identity) const;

  /// The weights of a complete checkpoint, also of versions before this one. \throws Error when it is absent or
  /// damaged.
  [[nodiscard]] tensorfile::TensorDict weights() const;
  /// \throws Error when it is absent, or any file of it damaged. \returns the epochs that it has completed
  std::int64_t verify() const;

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::filesystem::path weights_path() const { return folder_ / "weights.pt"; }
  /// checkpoint.json, for people. \throws Error when absent.
  [[nodiscard]] std::string description() const;

 private:
  std::filesystem::path folder_;
};

}  // namespace xtasc::train
