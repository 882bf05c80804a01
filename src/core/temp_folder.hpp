#pragma once

#include <filesystem>
#include <string_view>

namespace xtasc {

/// A folder for passing files, removed with it.
class TempFolder {
 public:
  /// \param parent  where it is made; empty: the system's folder for temporary files
  /// \param name    how the folder's own name starts
  /// \throws Error with the path and the system's reason
  TempFolder(const std::filesystem::path& parent, std::string_view name);
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace xtasc
