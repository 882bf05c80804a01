#include "core/host_memory.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

namespace xtasc {

namespace {

namespace fs = std::filesystem;
using Bytes = std::optional<std::uint64_t>;

Bytes number_in(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? Bytes(value) : std::nullopt;
}

/// The number behind a name, of a file whose lines are "NAME NUMBER".
Bytes field_of(const fs::path& path, std::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name)) {
      return number_in(std::string_view(line).substr(name.size()));
    }
  }
  return std::nullopt;
}

Bytes first_number(const fs::path& path) {
  return field_of(path, "");
}

constexpr std::uint64_t left(std::uint64_t limit, std::uint64_t used) {
  return limit > used ? limit - used : 0;
}

Bytes least(Bytes a, Bytes b) {
  return a && b ? Bytes(std::min(*a, *b)) : a ? a : b;
}

/// Of a group of version 2 and those above it; "max" is no number, and no limit.
Bytes left_in_groups(const fs::path& mount, fs::path group) {
  Bytes available;
  for (;; group = group.parent_path()) {
    const fs::path folder = mount / group.relative_path();
    const Bytes limit = first_number(folder / "memory.max");
    const Bytes used = field_of(folder / "memory.stat", "anon ");
    if (limit) {
      available = least(available, left(*limit, used.value_or(0)));
    }
    if (!group.has_relative_path()) {
      return available;
    }
  }
}

/// Of a group of version 1, which knows the least limit above it.
Bytes left_in_group_v1(const fs::path& folder) {
  const Bytes limit = field_of(folder / "memory.stat", "hierarchical_memory_limit ");
  const Bytes used = field_of(folder / "memory.stat", "total_rss ");
  return limit ? Bytes(left(*limit, used.value_or(0))) : std::nullopt;
}

Bytes left_in_control_groups(const fs::path& root) {
  std::ifstream file(root / "proc/self/cgroup");
  Bytes available;
  for (std::string line; std::getline(file, line);) {  // "0::/system.slice", "4:memory:/slurm/job_1"
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) {
      continue;
    }
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    const fs::path group = line.substr(second + 1);
    if (controllers.empty()) {
      available = least(available, left_in_groups(root / "sys/fs/cgroup", group));
    } else if (controllers == "memory") {
      const fs::path mount = root / "sys/fs/cgroup/memory";
      const fs::path folder = mount / group.relative_path();
      // In a container the path is that of the host, and the mount is the group itself.
      available = least(available, left_in_group_v1(fs::exists(folder) ? folder : mount));
    }
  }
  return available;
}

}  // namespace

std::optional<std::uint64_t> available_memory(const fs::path& root) {
  const fs::path meminfo = root / "proc/meminfo";
  Bytes free = field_of(meminfo, "MemAvailable:");
  if (free) {
    free = (*free + field_of(meminfo, "SwapFree:").value_or(0)) * 1024;
  }
  return least(free, left_in_control_groups(root));
}

void refuse_memory_beyond(std::uint64_t more) {
  const Bytes now = field_of("/proc/self/status", "VmData:");
  rlimit limit{};
  if (!now || ::getrlimit(RLIMIT_DATA, &limit) != 0) {
    return;
  }
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_cur, *now * 1024 + more);
  static_cast<void>(::setrlimit(RLIMIT_DATA, &limit));
}

}  // namespace xtasc
