#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "io/file.hpp"

namespace xtasc::io {

/// A file that grows at its end while others may read it; whoever writes it knows what it holds.
class LogFile {
 public:
  /// Opens it for reading and writing, and makes it where there is none. \throws Error with the system's reason, as all
  /// members do
  explicit LogFile(const std::filesystem::path& path);

  /// Whether the file begins with `text`, whatever lies behind it.
  [[nodiscard]] bool content_is(std::string_view text) const;
  [[nodiscard]] std::uint64_t size() const;
  /// Writes `text`, one line or more, at `offset`, cuts what lay behind it, makes it durable. On failure the file ends
  /// at `offset` again, so that what comes next does not run into half of this.
  void write_at(std::uint64_t offset, std::string_view text);
  void close();

 private:
  void require(bool succeeded, const char* action) const;
  void require_or_cut(bool succeeded, std::uint64_t offset) const;

  std::string path_;
  Descriptor descriptor_;
};

}  // namespace xtasc::io
