#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace xtasc {

/// Bytes that this process could still take without another's being taken from it: the least of what the machine has
/// free, page cache and swap space included, and of what its control groups (Slurm's, a container's; version 1 or 2)
/// leave. \param root  where proc/ and sys/ are \returns nullopt where the system does not tell
[[nodiscard]] std::optional<std::uint64_t> available_memory(const std::filesystem::path& root = "/");

/// From here on the system refuses this process, and those that it starts, memory beyond `more` bytes (RLIMIT_DATA):
/// who asks is told (std::bad_alloc, exit code 3), where the kernel would end the process that uses it (SIGKILL, 137)
/// without a word, or another one. Without effect where a limit that is there is lower.
void refuse_memory_beyond(std::uint64_t more);

}  // namespace xtasc
