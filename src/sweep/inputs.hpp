#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "sweep/state.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// Why runs that are about to start could not: one line for each file, naming the config key.
struct InputFaults {
  std::vector<std::string> absent;  ///< not on this machine; maybe on the one that will run it
  std::vector<std::string> wrong;   ///< here, but not what a run can use
  bool is_config_wrong = false;     ///< among them is one that no change of the files would mend

  [[nodiscard]] ExitCode code() const { return is_config_wrong ? ExitCode::usage : ExitCode::failure; }
};

/// Looks at the files that configs name, each once: data.pack with data.label_set and the tasks, and weights
/// (config::weights_keys); a run that is a teacher must be one that a student of that task can learn from. They must be
/// what the configs' digests say; of a pack it reads what describes it, no samples. Teachers that are runs of the sweep
/// are left out: they may be still to come.
[[nodiscard]] InputFaults check_inputs(const std::vector<const PlannedRun*>& runs);

/// The same with the packs that were edited since runs of the sweep were trained on them; one that no run needs which
/// is about to start is warned of.
[[nodiscard]] InputFaults faults_of_starting(const Sweep& sweep, const std::vector<const PlannedRun*>& starting);

/// Packs of the sweep's runs that somebody edited since runs of it were trained on them: a line by the path, as the
/// configs have it. Reads a pack only where its file is not as those runs found it.
[[nodiscard]] std::map<std::string, std::string> edited_packs(const Sweep& sweep);

/// Why runs have no id, and what to do: a line for each file whose content nobody knows here. Empty: all have one.
[[nodiscard]] std::vector<std::string> reasons_without_id(const std::vector<const PlannedRun*>& runs);

/// \throws Error with those reasons when a run has no id. \param what_was_not  "nothing was submitted"
void require_ids(const Sweep& sweep, const std::vector<const PlannedRun*>& runs, std::string_view what_was_not);

/// Looks, before any of them starts, at what the selected runs need that are to be started here.
/// \throws Error with all that is missing or wrong
void refuse_what_cannot_start(const Sweep& sweep, const std::vector<const PlannedRun*>& selected, const Queue& queue);

/// \throws Error with all `faults`, and that nothing was run. Returns when there are none.
void refuse(const Sweep& sweep, const std::vector<std::string>& faults, ExitCode code);

}  // namespace xtasc::sweep
