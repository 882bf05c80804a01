#pragma once

#include <span>
#include <vector>

#include "report/aggregate.hpp"
#include "report/sheet.hpp"
#include "sweep/state.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// What became of a sweep, as tables.
struct Collected {
  std::vector<report::Sheet> sheets;      ///< a protocol each; for several packs, a pack and protocol each
  std::vector<run::LeftOutRun> left_out;  ///< runs that are not in them, with their state
  std::vector<std::string> warnings;      ///< packs that are no longer what these runs were trained on
  std::size_t num_done = 0;               ///< in the tables
  std::size_t num_not_done = 0;           ///< of left_out
  std::size_t num_halted = 0;             ///< of those, by [stop]
  std::size_t num_too_short = 0;          ///< of left_out: DONE, with too few epochs for mean10, where that is shown
                                          ///< The others are DONE, but their files cannot be used
};

/// The runs that are DONE, in the sweep's rows and order: mean +- deviation over seeds, and p of a two-sided paired
/// t-test against the baseline row over the seeds that both have. With fewer than two such seeds there is no p.
///
/// \param statuses  of the sweep's runs, in their order
[[nodiscard]] Collected collect(const Sweep& sweep, std::span<const RunStatus> statuses,
                                std::span<const report::Protocol> protocols, report::Checkpoint checkpoint,
                                const report::DeltaForm& delta_form = {});

}  // namespace xtasc::sweep
