#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// Looks through the folder for runs that a sweep asks for and that lie under other names: those of versions that knew
/// a run's files by their paths (PlannedRun::done_before where they are DONE), and those of the same rows that were
/// trained on another pack (Sweep::on_other_packs). Weights are compared by digest where both runs have one, else by
/// path.
void find_other_runs(Sweep& sweep);

/// "3 runs here were trained on another pack, ..." for what find_other_runs found; empty: none were.
[[nodiscard]] std::string other_packs_text(const Sweep& sweep);

}  // namespace xtasc::sweep
