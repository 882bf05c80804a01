#pragma once

#include <map>
#include <string>
#include <vector>

#include "sweep/sweep_file.hpp"

namespace xtasc::sweep {

/// A run before its config is resolved.
struct Candidate {
  std::string row;
  std::vector<Setting> settings;  ///< over base, [set] and the command line
  std::vector<Placed> needs;      ///< rows
  std::string where;
};

/// The keys of all axes, in the file's order.
[[nodiscard]] std::vector<std::string> axis_keys(const SweepFile& file);

/// What each axis is called in rows and tables: its given name, else the last part of its key where that is enough.
[[nodiscard]] std::map<std::string, std::string> axis_names(const SweepFile& file);

/// What is wrong with so many combinations of the axes, and runs of them all together, one a seed; empty: nothing.
[[nodiscard]] std::string fault_of_size(const SweepFile& file);

/// Faults of the file as a whole: keys that may not vary, names and excludes of axes that there are not.
/// \param assignments  of the command line, over all runs
void check_meaning(const SweepFile& file, const std::vector<std::string>& assignments,
                   std::vector<std::string>& faults);

/// The product of the groups, the last one moving fastest, without what is excluded; then the points. An [[exclude]]
/// that leaves nothing out is a fault.
[[nodiscard]] std::vector<Candidate> expand(const SweepFile& file, std::vector<std::string>& faults);

}  // namespace xtasc::sweep
