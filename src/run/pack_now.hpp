#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "run/run_summary.hpp"

namespace xtasc::run {

/// By what a file that nobody touched is recognised without being read.
struct FileStamp {
  std::int64_t bytes = 0;
  std::int64_t modified = 0;  ///< nanoseconds since 1970
  bool operator==(const FileStamp&) const = default;
};

/// \throws Error with the path and the system's reason
[[nodiscard]] FileStamp stamp_of(const std::filesystem::path& path);

/// Whether the file at `pack` is just as the run found it at its start; false where it is not there, or where the run
/// recorded no stamp.
[[nodiscard]] bool is_untouched(const Provenance& recorded, const std::filesystem::path& pack);

/// Where a run found its pack when it was started last: its stamp is of that file.
[[nodiscard]] const std::string& last_pack_path(const Provenance& recorded);

/// Whether two paths lead to one file or folder that exists, however they are written.
[[nodiscard]] bool is_same_place(const std::filesystem::path& a, const std::filesystem::path& b);

/// What a pack's file holds now.
struct PackNow {
  bool is_there = false;
  std::string digest;    ///< as its header says; empty where it cannot be read
  std::string contents;  ///< the digest that its contents give; empty: nobody had a reason to read them
  std::string fault;     ///< why it cannot be read, or not as a whole; empty: it can

  /// Somebody changed it after it was packed, and left the header as it was.
  [[nodiscard]] bool is_edited() const { return !contents.empty() && contents != digest; }
};

/// Reads the header; and all samples where runs on this very file and digest recorded another stamp than it has now,
/// and none recorded the one that it has (who trained on it then has compared contents and digest).
/// \param trained  what runs recorded whose pack was at this path; each path is to be asked for once
/// \param on_part  called before each part of the work, for a watch
[[nodiscard]] PackNow pack_now(const std::filesystem::path& path, std::span<const Provenance* const> trained,
                               const std::function<void()>& on_part = {});

/// "data.pack d.h5 was edited after it was packed: its header says A, its contents are B", for an edited one.
[[nodiscard]] std::string edited_text(const std::filesystem::path& path, const PackNow& now);

/// A line for each pack that is no longer what runs were trained on: replaced, edited, damaged. Packs that are not
/// where the runs found them are not looked for. \param on_part  called with the pack before each part of the work
[[nodiscard]] std::vector<std::string> pack_warnings(
    std::span<const RunSummary> runs, const std::function<void(const std::filesystem::path& pack)>& on_part = {});

}  // namespace xtasc::run
