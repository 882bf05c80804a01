#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace xtasc::preprocess {

/// What lies in a folder of raw data, by name, sorted.
struct FolderEntries {
  std::vector<std::string> folders;  ///< also links to folders
  std::vector<std::string> files;    ///< everything else: also links that lead nowhere, and folders named like data
};

/// \param root  of the raw data, as the command line names it \throws Error  (exit code 2) unless it is a folder
void require_folder(const std::filesystem::path& root);

/// Empty when there is no such folder. \throws Error  when it cannot be listed.
[[nodiscard]] FolderEntries list_entries(const std::filesystem::path& folder);

/// Whether the name ends like that of a picture or an array, in whatever case: nothing so named is passed over without
/// being named. Hidden files are none, macOS leaves "._0.png" beside each 0.png.
[[nodiscard]] bool looks_like_data(std::string_view name);

/// The way out where part of a download is missing: "; X.zip is there: unpack it" with the first archive in `folder`
/// whose name begins with `begin`, in whatever case; empty where there is none.
[[nodiscard]] std::string archive_hint(const std::filesystem::path& folder, std::string_view begin);

/// Why the ids of a list may lead to no file: "; ids are without extension: '0000'", where a file is there for the id
/// without it, with / for \\ or up to the first blank or comma; empty where there is none.
/// \param path_of  gives the file of an id
[[nodiscard]] std::string id_hint(const std::string& id,
                                  const std::function<std::filesystem::path(const std::string&)>& path_of);

/// What was found beside the data: Thumbs.db, .DS_Store, @eaDir, __MACOSX, notes, downloads that were never finished.
/// It makes no fault and changes no pack, but the log names it, in one line for all.
class PassedOver {
 public:
  /// \param path  relative to the raw root.
  void add(std::string path) { paths_.push_back(std::move(path)); }
  /// Says how many there are and names the first few; nothing when there are none.
  void log() const;

 private:
  std::vector<std::string> paths_;
};

}  // namespace xtasc::preprocess
