#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace xtasc::io {

/// Writes a whole file so that, whatever happens, the old or the new one is there: temporary name beside it, every
/// write checked, fsync, rename, fsync of the folder. The temporary file is removed on failure.
/// \throws Error  with the path and the system's reason (full disk, read-only, ...).
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

/// The whole file. \throws Error with the path and the system's reason.
[[nodiscard]] std::string read_file(const std::filesystem::path& path);

/// The whole file `name` in the folder that the descriptor `folder` is open on, whatever its path leads to by now.
/// \param path  for the message
[[nodiscard]] std::string read_file_at(int folder, const std::string& name, const std::filesystem::path& path);

/// Makes a folder's entries durable (fsync of the folder).
void sync_folder(const std::filesystem::path& folder);

/// The hidden name beside `path` under which this process writes until the file is complete: ".NAME.partial-PID".
[[nodiscard]] std::filesystem::path temporary_path(const std::filesystem::path& path);

/// Removes the temporary files of `path` whose writers are dead (killed, or the machine went down). Never throws: what
/// cannot be removed stays.
void remove_stale_temporaries(const std::filesystem::path& path) noexcept;

/// Puts the complete file `temporary` in the place of `path`: fsync, rename, fsync of the folder.
/// \throws Error  with the path and the system's reason; the temporary file is left to the caller.
void publish_file(const std::filesystem::path& temporary, const std::filesystem::path& path);

}  // namespace xtasc::io
