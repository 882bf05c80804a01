#include "core/host_memory.hpp"

#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

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

/// Of a group of version 2 and those above it; "max" is no number, and no limit. \param swap  the machine's that is
/// free
Bytes left_in_groups(const fs::path& mount, fs::path group, std::uint64_t swap) {
  Bytes available;
  for (;; group = group.parent_path()) {
    const fs::path folder = mount / group.relative_path();
    const Bytes limit = first_number(folder / "memory.max");
    const Bytes used = field_of(folder / "memory.stat", "anon ");
    if (limit) {
      const Bytes own_swap = first_number(folder / "memory.swap.max");
      available = least(available, left(*limit, used.value_or(0)) + std::min(own_swap.value_or(swap), swap));
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

bool has_word(std::string_view list, std::string_view word) {
  const std::size_t at = ("," + std::string(list) + ",").find("," + std::string(word) + ",");
  return at != std::string::npos;
}

Bytes left_in_control_groups(const fs::path& root, std::uint64_t swap) {
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
      available = least(available, left_in_groups(root / "sys/fs/cgroup", group, swap));
    } else if (has_word(controllers, "memory")) {
      const fs::path mount = root / "sys/fs/cgroup/memory";
      const fs::path folder = mount / group.relative_path();
      // In a container the path is that of the host, and the mount is the group itself.
      available = least(available, left_in_group_v1(fs::exists(folder) ? folder : mount));
    }
  }
  return available;
}

/// As OpenMP has it: "4G", "512 m", "2048" (KiB). 0: it says nothing.
std::uint64_t bytes_of(const char* text) {
  const std::string_view size = text == nullptr ? "" : text;
  const std::uint64_t number = number_in(size).value_or(0);
  const std::size_t unit = size.find_first_not_of(" \t0123456789");
  switch (unit == std::string_view::npos ? 'k' : std::tolower(static_cast<unsigned char>(size[unit]))) {
    case 'b':
      return number;
    case 'm':
      return number << 20;
    case 'g':
      return number << 30;
    default:
      return number << 10;
  }
}

/// Address space of the threads that a program may start yet, one a core, and of what else is asked for and not used.
std::uint64_t stacks_to_come() {
  constexpr std::uint64_t kUnused = std::uint64_t{256} << 20;
  std::size_t stack = std::size_t{8} << 20;
  pthread_attr_t attributes{};
  if (::pthread_getattr_default_np(&attributes) == 0) {
    ::pthread_attr_getstacksize(&attributes, &stack);
    ::pthread_attr_destroy(&attributes);
  }
  const std::uint64_t largest = std::max<std::uint64_t>(stack, bytes_of(std::getenv("OMP_STACKSIZE")));
  return kUnused + largest * std::thread::hardware_concurrency();
}

std::atomic<bool> is_memory_bounded{false};

}  // namespace

std::optional<std::uint64_t> available_memory(const fs::path& root) {
  const fs::path meminfo = root / "proc/meminfo";
  const std::uint64_t swap = 1024 * field_of(meminfo, "SwapFree:").value_or(0);
  Bytes free = field_of(meminfo, "MemAvailable:");
  if (free) {
    free = 1024 * *free + swap;
  }
  return least(free, left_in_control_groups(root, swap));
}

void refuse_memory_beyond(std::uint64_t more) {
  static const rlim_t at_start = [] {
    rlimit limit{};
    return ::getrlimit(RLIMIT_DATA, &limit) == 0 ? limit.rlim_cur : 0;
  }();
  const Bytes now = field_of("/proc/self/status", "VmData:");
  rlimit limit{};
  if (!now || ::getrlimit(RLIMIT_DATA, &limit) != 0) {
    return;
  }
  limit.rlim_cur = std::min<rlim_t>(at_start, 1024 * *now + more + stacks_to_come());
  static_cast<void>(::setrlimit(RLIMIT_DATA, &limit));
}

void bound_memory() {
  is_memory_bounded = true;
  renew_memory_bound();
}

void renew_memory_bound() {
  if (const auto bound = memory_bound()) {
    refuse_memory_beyond(*bound);
  }
}

std::optional<std::uint64_t> memory_bound() {
  return is_memory_bounded ? available_memory() : std::nullopt;
}

}  // namespace xtasc
