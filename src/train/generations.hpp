#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "run/run_folder.hpp"
#include "train/checkpoint.hpp"

namespace xtasc::train {

/// The checkpoints of a run: `last`, where it stands; `previous`, where it stood one checkpoint before; `best`, of the
/// epoch with the lowest validation loss. All three can be resumed from, bit for bit, so that none is a single point of
/// loss. Rank 0 only.
class Generations {
 public:
  /// \param before_write  called before each write; may throw to stop it
  Generations(const run::RunFolder& run, Checkpoint::BeforeWrite before_write);

  /// Saves `last`, and the same as `best` where the epoch that just ended is the best so far. \param metrics  the lines
  /// of metrics.jsonl \throws Error with the path and the system's reason; what was there is whole then
  void save(const LearnerTensors& tensors, const Progress& progress, const RunIdentity& identity,
            const std::string& metrics, bool is_best) const;

  /// Restores the learner from `last`, or from the next generation that is whole where it is damaged or missing: it is
  /// set aside then, with one line in the log. nullopt when there is no checkpoint at all.
  /// \throws ForeignCheckpoint when it is another run's; Error when every generation is damaged, naming each.
  [[nodiscard]] std::optional<Resumed> load(const Learner& learner, const RunIdentity& identity) const;

  /// \throws Error unless `best` is there, whole and of the best epoch: a run that ends without it is not done.
  void require_best(const Progress& progress) const;

 private:
  /// `best` is only read when a run has ended: looks at it while there may be another copy of it, or sets it aside.
  void look_after_best(const Progress& progress) const;

  Checkpoint last_, previous_, best_;
  Checkpoint::BeforeWrite before_write_;
};

/// Bytes that a run's checkpoints need at their peak, on top of those that are there already: three generations, and a
/// new one while it takes an old one's place.
[[nodiscard]] std::uintmax_t bytes_still_needed(const Learner& learner, const run::RunFolder& run);

/// \throws Error naming both figures when the file system has less free than bytes_still_needed.
void check_free_space(const Learner& learner, const run::RunFolder& run);

}  // namespace xtasc::train
