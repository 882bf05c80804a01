#pragma once

#include <filesystem>
#include <set>
#include <string>

namespace xtasc::dist {

/// The cores of a list as the kernel writes it, "0-15,64-79".
[[nodiscard]] std::set<int> cores_of_list(const std::string& list);

/// The cores that this process may run on; empty where the kernel does not say.
[[nodiscard]] std::set<int> own_cores();

/// Whether a GPU hangs on the socket of one of these cores. \param bus_id  "0000:41:00.0", in either case
/// \param cores  empty: not known \param sysfs  "/sys" \returns true where nobody knows
[[nodiscard]] bool is_near(const std::string& bus_id, const std::set<int>& cores, const std::filesystem::path& sysfs);

}  // namespace xtasc::dist
