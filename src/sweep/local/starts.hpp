#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "sweep/folder.hpp"

namespace xtasc::sweep {

/// Counts the starts in a row that got a run no further, by the steps in its last checkpoint, as the batch script of a
/// cluster does (slurm/job.sbatch.in). For the life of one driver.
class Starts {
 public:
  /// As a site file has it where it says nothing.
  static constexpr std::int64_t kMostFruitless = 3;

  explicit Starts(SweepFolder folder) : folder_(std::move(folder)) {}

  /// To be called before each start of the run.
  void begin(const std::string& id);
  /// To be called after each end of one that nobody asked for. \returns how many starts in a row got it no further
  std::int64_t end(const std::string& id);

 private:
  struct Count {
    std::int64_t steps = 0;  ///< that the last start began from
    std::int64_t fruitless = 0;
  };

  /// Optimizer steps that are safe in the run's last checkpoint; 0: there is none.
  [[nodiscard]] std::int64_t steps_of(const std::string& id) const;

  SweepFolder folder_;
  std::map<std::string, Count> counts_;
};

}  // namespace xtasc::sweep
