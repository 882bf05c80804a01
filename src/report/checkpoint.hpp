#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "run/run_summary.hpp"

namespace xtasc::report {

/// What is shown of a run: its epoch of the lowest validation loss, its last one, or the mean of the last ten epochs'
/// metrics, as most published rows of the field are.
enum class Checkpoint { best, last, mean10 };

[[nodiscard]] std::string_view name(Checkpoint checkpoint);
/// All names, as an option takes them.
[[nodiscard]] std::vector<std::string> checkpoint_names();
/// \throws Error (exit code 2) when there is none of that name
[[nodiscard]] Checkpoint checkpoint_of(std::string_view name);
/// What the words mean, for an option's help.
inline constexpr std::string_view kCheckpointHelp =
    "The epoch shown: lowest validation loss (best), or the last; mean10: the mean of the last ten epochs' metrics";
/// "best checkpoint", "mean10 (last ten epochs' mean)": for captions.
[[nodiscard]] std::string text_of(Checkpoint checkpoint);

/// The run's numbers; null where it has none of that kind.
[[nodiscard]] const run::EpochRecord* shown_of(const run::RunSummary& run, Checkpoint checkpoint);

/// Moves the runs that have too few epochs for mean10, where that is shown, to those left out, with the reason.
void leave_out_runs_without(Checkpoint checkpoint, run::LoadedRuns& loaded);

}  // namespace xtasc::report
