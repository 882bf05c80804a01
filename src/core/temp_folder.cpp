#include "core/temp_folder.hpp"

#include <stdlib.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "core/error.hpp"

namespace xtasc {

TempFolder::TempFolder(const std::filesystem::path& parent, std::string_view name) {
  const auto root = parent.empty() ? std::filesystem::temp_directory_path() : parent;
  std::string pattern = (root / name).string() + "-XXXXXX";
  const bool is_made = ::mkdtemp(pattern.data()) != nullptr;
  check(is_made, "cannot make a folder like '{}': {}", pattern, errno_text(errno));
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace xtasc
