#include "core/error.hpp"

#include <algorithm>
#include <cstdio>
#include <system_error>

namespace xtasc {

std::string errno_text(int error_number) {
  return std::generic_category().message(error_number);
}

void print_error(const std::string& program, const Error& error) {
  constexpr std::size_t kMaxDetails = 20;
  const auto& details = error.details();
  std::string text = fmt::format("{}: error: {}\n", program, error.what());
  for (std::size_t i = 0; i < std::min(details.size(), kMaxDetails); ++i) {
    text += fmt::format("  {}\n", details[i]);
  }
  if (details.size() > kMaxDetails) {
    text += fmt::format("  ... and {} more\n", details.size() - kMaxDetails);
  }
  std::fputs(text.c_str(), stderr);
}

}  // namespace xtasc
