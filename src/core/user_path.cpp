#include "core/user_path.hpp"

#include <fmt/format.h>

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "core/error.hpp"
#include "core/utf8.hpp"

namespace xtasc {

namespace {

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

/// "$NAME" or "${NAME}" as it stands in the path; empty where no shell would see a variable, or the part with it is
/// there under just that name.
std::string variable_in(const std::string& path) {
  for (std::size_t at = path.find('$'); at != std::string::npos; at = path.find('$', at + 1)) {
    const bool is_braced = path.compare(at + 1, 1, "{") == 0;
    const std::size_t begin = at + (is_braced ? 2 : 1);
    std::size_t end = begin;
    while (end < path.size() && (std::isalnum(static_cast<unsigned char>(path[end])) != 0 || path[end] == '_')) {
      ++end;
    }
    const bool is_name = end > begin && std::isdigit(static_cast<unsigned char>(path[begin])) == 0;
    if (is_name && (!is_braced || path.compare(end, 1, "}") == 0) && !exists(path.substr(0, path.find('/', at)))) {
      return path.substr(at, end + (is_braced ? 1 : 0) - at);
    }
  }
  return {};
}

}  // namespace

std::string fault_of_path(const std::string& path) {
  if (const std::string variable = variable_in(path); !variable.empty()) {
    return fmt::format("{} is not filled in: write \"{}\" out", variable, path);
  }
  if (path.size() > 1 && path[0] == '~' && path[1] != '/') {
    return fmt::format("{} is not filled in: write the folder out (or \"./{}\", where one is called so)",
                       path.substr(0, path.find('/')), path);
  }
  return {};
}

std::string fill_in_home(std::string& path) {
  if (std::string fault = fault_of_path(path); !fault.empty() || path.empty() || path.front() != '~') {
    return fault;
  }
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') {
    return fmt::format("HOME is not set, which \"{}\" begins with: write it out", path);
  }
  if (first_not_utf8(home)) {
    return fmt::format("HOME, which \"{}\" begins with, is not UTF-8 ('{}'): give a link to it", path,
                       with_escaped_bytes(home));
  }
  path.replace(0, 1, home);
  return {};
}

void require_input(std::string_view option, const std::string& path) {
  std::error_code error;
  if (!path.empty() && std::filesystem::status(path, error).type() == std::filesystem::file_type::not_found) {
    fail_usage("{}: cannot read '{}': {}", option, path, error ? error.message() : errno_text(ENOENT));
  }
}

}  // namespace xtasc
