#pragma once

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "core/error.hpp"

namespace xtasc::launch {

/// A folder for a program's passing files, removed with it.
class Scratch {
 public:
  /// \param parent  where it is made; empty: the system's folder for temporary files
  /// \param name    how the folder's own name starts
  /// \throws Error with the path and the system's reason
  Scratch(const std::filesystem::path& parent, std::string_view name) {
    const auto root = parent.empty() ? std::filesystem::temp_directory_path() : parent;
    std::string pattern = (root / name).string() + "-XXXXXX";
    check(::mkdtemp(pattern.data()) != nullptr, "cannot make a folder like '{}': {}", pattern, errno_text(errno));
    path_ = pattern;
  }
  ~Scratch() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace xtasc::launch
