#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sweep/folder.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// What was decided at one rung about the rows that had reached it: .sweep/rungs/epoch_E_N.json. It never changes once
/// it is there. Rows that come to the sweep later are decided among themselves, as number N + 1.
struct Decision {
  struct Row {
    std::string name;
    std::vector<std::string> runs;  ///< ids
    std::optional<double> value;    ///< mean over its runs of what rows are ranked by; absent: one has none, or failed
    bool is_kept = false;
  };
  std::int64_t after_epoch = 0;
  std::string by;         ///< as Stop::by
  std::vector<Row> rows;  ///< the best first, then those without a value; equal ones in the sweep's order

  /// "after epoch 20: Delta_m -3.1 %, 9th of 12, 6 kept"
  [[nodiscard]] std::string text_of(const Row& row) const;
};

/// Puts the rows in order and keeps the better ones.
void rank(Decision& decision, const Stop& stop);

/// All of a sweep, by their epoch. \throws Error when a file is damaged
[[nodiscard]] std::vector<Decision> read_decisions(const SweepFolder& folder);

/// Hold the sweep's lock. \param number  1 for the first of that epoch
void write_decision(const SweepFolder& folder, const Decision& decision, const Stop& stop, std::int64_t number);

}  // namespace xtasc::sweep
