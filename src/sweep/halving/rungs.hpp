#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sweep/halving/decision.hpp"
#include "sweep/halving/race.hpp"
#include "sweep/waiting.hpp"

namespace xtasc::sweep {

/// How far a run may go.
struct Pace {
  bool is_halted = false;
  std::string text = {};  ///< of a halted run: why, as Decision::text_of has it
  /// Where it waits for the decision of a rung, or was halted; 0: it trains to its end.
  std::int64_t until_epoch = 0;

  /// Whether it has come so far that it waits. \param epoch  epochs completed
  [[nodiscard]] bool is_over_at(std::int64_t epoch) const { return until_epoch > 0 && epoch >= until_epoch; }
};

/// [stop] of a sweep, as far as it came. Without [stop] every run trains to its end.
class Rungs {
 public:
  /// Reads what was decided. \param queue  what a cluster says of the runs  \throws Error when a file is damaged
  explicit Rungs(const Sweep& sweep, Queue queue = {});

  /// \param epoch  epochs that the run has completed
  [[nodiscard]] Pace pace_of(const PlannedRun& run, std::int64_t epoch) const;
  /// Whether the run is one of those that wait at this rung until it is decided: of a row that may be halted there, or
  /// what such a row is set against, unless it is further already.
  [[nodiscard]] bool waits_at(std::int64_t rung, const PlannedRun& run, std::int64_t epoch) const;

  /// The runs that a rung waits for: without that epoch, and not failed; of those that Delta_m is over failed ones too.
  [[nodiscard]] const std::vector<OpenNeed>& open_at(std::int64_t rung) const;

  /// Makes each decision that can be made, and writes it down. Hold the sweep's lock. \returns the new ones
  std::vector<Decision> decide();

  [[nodiscard]] const std::vector<RacingRow>& rows() const { return rows_; }
  [[nodiscard]] bool is_halted(const RacingRow& row) const;
  /// Whether a row went on from this rung, or from a later one.
  [[nodiscard]] bool has_passed(const RacingRow& row, std::int64_t rung) const;

 private:
  /// What became of a row so far.
  struct Verdict {
    std::int64_t passed = 0;              ///< the last rung that it went on from
    const Decision* halted_by = nullptr;  ///< null: it was not
    const Decision::Row* as = nullptr;
  };
  [[nodiscard]] const Verdict& verdict_of(const RacingRow& row) const;
  [[nodiscard]] std::vector<const RacingRow*> undecided_at(std::int64_t rung) const;
  [[nodiscard]] std::optional<double> value_of(const RacingRow& row, std::int64_t rung) const;
  void read();

  const Sweep& sweep_;
  SweepFolder folder_;
  Queue queue_;
  std::vector<RacingRow> rows_;
  std::map<std::string, std::size_t> row_of_run_;
  std::vector<Decision> decisions_;
  std::vector<Verdict> verdicts_;  ///< of rows_
  mutable std::map<std::int64_t, std::vector<OpenNeed>> open_;
};

/// What the runs of a sweep train at most, by id: where nothing is decided, the rows that cost the most go on.
/// \param cost  of a whole run, by id
[[nodiscard]] std::map<std::string, std::int64_t> epochs_at_most(const Sweep& sweep, const Rungs& rungs,
                                                                 const std::map<std::string, double>& cost);

/// Lets the halted ones of the selected runs go on to their end. \returns how many
std::int64_t release_halted(const Sweep& sweep, const std::vector<std::string>& only, const Queue& queue);

}  // namespace xtasc::sweep
