#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sweep/state.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweeps {

/// What status tells of a sweep.
struct SweepState {
  std::vector<sweep::RunStatus> statuses;  ///< in the order of the sweep's runs
  std::string summary;                     ///< "12 runs: 3 done, 9 waiting"
  std::vector<std::string> remarks;        ///< other packs, jobs of none of its runs; without a full stop at the end
};

/// Writes the state of each run, and tables and curves of what there is, as one page. \param reload_seconds  after
/// which it loads itself again; 0: never \throws Error with the path and the system's reason
void write_status_page(const sweep::Sweep& sweep, const SweepState& state, const std::filesystem::path& path,
                       int reload_seconds);

}  // namespace xtasc::sweeps
