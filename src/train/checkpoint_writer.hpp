#pragma once

#include <future>
#include <optional>

#include "run/metrics_log.hpp"
#include "run/run_folder.hpp"
#include "train/generations.hpp"

namespace xtasc::train {

/// What a run leaves in its folder as it goes on: checkpoints, and metrics.jsonl after each. They are written on a
/// thread of its own from a copy of the learner, which is all that the training waits for, unless the checkpoint before
/// is still being written. Rank 0 only; to be called from one thread.
///
/// The thread's failure is thrown to whoever calls next, once; what was in the folder is whole then.
class CheckpointWriter {
 public:
  /// \param before_write  see Generations; called on the writing thread
  CheckpointWriter(const run::RunFolder& folder, RunIdentity identity, Checkpoint::BeforeWrite before_write);
  /// Waits for the writing; a failure is lost, since another error is under way.
  ~CheckpointWriter() = default;
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Generations::load, and metrics.jsonl made to fit it. \returns where the run stood; nullopt when there is no
  /// checkpoint \throws Error when there is none, but metrics.jsonl has epochs
  [[nodiscard]] std::optional<Progress> load(const Learner& learner);

  /// Begins to write the checkpoint of an epoch that has just ended, then its line of metrics.jsonl.
  void save(const Learner& learner, const Progress& progress, const run::EpochRecord& record);
  /// The same in the middle of an epoch, of which there is no line yet.
  void save(const Learner& learner, const Progress& progress);

  /// How long the caller stood still for the last checkpoint of an epoch: what the line after it says, since it is a
  /// part of the next one itself.
  [[nodiscard]] double seconds() const { return seconds_; }

  /// Throws if the writing has failed meanwhile; does not wait for it.
  void require_healthy();
  /// Waits until everything is written.
  void finish();
  /// The same, where an error is on its way already: a failure is only logged.
  void finish_or_warn();
  /// finish(), then: \throws Error unless metrics.jsonl has every epoch and `best` is there, as a run that is done
  /// wants
  void require_complete(const Progress& progress);

 private:
  void start(const Learner& learner, const Progress& progress, bool is_best);

  RunIdentity identity_;
  Generations generations_;
  run::MetricsLog metrics_;    ///< the writing thread's while it is at work
  double seconds_ = 0.0;       ///< that the caller stood still for the last checkpoint
  std::future<void> writing_;  ///< last: its destructor waits for the thread, which uses the others
};

}  // namespace xtasc::train
