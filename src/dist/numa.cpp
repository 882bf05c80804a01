#include "dist/numa.hpp"

#include <sched.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

namespace xtasc::dist {

std::set<int> cores_of_list(const std::string& list) {
  std::set<int> cores;
  std::istringstream stream(list);
  for (std::string part; std::getline(stream, part, ',');) {
    int first = 0;
    int last = 0;
    char dash = '\0';
    std::istringstream range(part);
    if (!(range >> first)) {
      continue;
    }
    if (!(range >> dash >> last) || dash != '-') {
      last = first;
    }
    for (int core = first; core <= last && core < CPU_SETSIZE; ++core) {
      cores.insert(core);
    }
  }
  return cores;
}

std::set<int> own_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  std::set<int> cores;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &allowed)) {
        cores.insert(core);
      }
    }
  }
  return cores;
}

bool is_near(const std::string& bus_id, const std::set<int>& cores, const std::filesystem::path& sysfs) {
  std::string folder = bus_id;
  std::ranges::transform(folder, folder.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::ifstream stream(sysfs / "bus/pci/devices" / folder / "local_cpulist");
  std::string list;
  std::getline(stream, list);
  const std::set<int> local = cores_of_list(list);
  return local.empty() || cores.empty() || std::ranges::any_of(cores, [&](int core) { return local.contains(core); });
}

}  // namespace xtasc::dist
