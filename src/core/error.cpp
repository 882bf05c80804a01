#include "core/error.hpp"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <system_error>

#include "core/utf8.hpp"

namespace xtasc {

namespace {

/// `text` without control characters and bytes that are no text, and of a readable length.
std::string readable_line(std::string_view text) {
  constexpr std::size_t kMaxBytes = 2000;
  std::string line;
  for (const char c : with_escaped_bytes(text.substr(0, kMaxBytes))) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      line += fmt::format("\\x{:02x}", byte);
    } else {
      line += c;
    }
  }
  if (text.size() > kMaxBytes) {
    line += fmt::format(" ... ({} bytes more)", text.size() - kMaxBytes);
  }
  return line;
}

}  // namespace

Error::Error(const std::string& message, ExitCode code, std::vector<std::string> details)
    : std::runtime_error(readable_line(message)), code_(code), details_(std::move(details)) {
  for (std::string& detail : details_) {
    detail = readable_line(detail);
  }
}

std::string errno_text(int error_number) {
  return std::generic_category().message(error_number);
}

std::string text_of(const std::filesystem::filesystem_error& error) {
  return fmt::format("cannot look at '{}': {}", error.path1().string(), error.code().message());
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
