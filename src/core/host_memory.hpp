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
/// without a word, or another one. Stacks of threads yet to come, which count and are hardly used, come on top. Without
/// effect where a limit that was there at the start is lower.
void refuse_memory_beyond(std::uint64_t more);

/// Refuses memory beyond available_memory(), as it is now and at each renew_memory_bound(). For a program of one
/// process whose user says how large its tensors are; small requests of libraries may end badly near the bound.
void bound_memory();
/// Follows what others took or gave back since then; without effect where memory is not bounded. Safe to call from any
/// thread.
void renew_memory_bound();
/// available_memory(), if this process' memory is bounded.
[[nodiscard]] std::optional<std::uint64_t> memory_bound();

}  // namespace xtasc
