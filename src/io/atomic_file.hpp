#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "io/file.hpp"

namespace xtasc::io {

/// Writes a whole file so that, whatever happens, the old or the new one is there: temporary name beside it, every
/// write checked, fsync, rename, fsync of the folder. The temporary file is removed on failure. Where `path` is a link,
/// the file that it leads to is written, and the link stays.
/// \throws Error  with the path and the system's reason (full disk, read-only, ...).
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

/// For what a command line names, before the work: whether write_file_atomically could write there.
/// \throws Error  with exit code 2 where not
void check_can_write(const std::filesystem::path& path);

/// The same for a page: its name must end in .html, so that no other file is replaced by one. \param option  "--html"
void check_can_write_page(std::string_view option, const std::filesystem::path& path);

/// Makes a folder's entries durable (fsync of the folder).
void sync_folder(const std::filesystem::path& folder);

/// The hidden name beside `path` under which this process writes until the file is complete: ".NAME.partial-PID".
[[nodiscard]] std::filesystem::path temporary_path(const std::filesystem::path& path);

/// Removes the temporary files of `path` whose writers are dead (killed, or the machine went down). Never throws: what
/// cannot be removed stays.
void remove_stale_temporaries(const std::filesystem::path& path) noexcept;

/// Puts the complete file `temporary` in the place of `path`, or of what that link leads to: fsync, rename, fsync of
/// the folder. \throws Error  with the path and the system's reason; the temporary file is left to the caller.
void publish_file(const std::filesystem::path& temporary, const std::filesystem::path& path);

}  // namespace xtasc::io
