#include "io/log_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/error.hpp"

namespace xtasc::io {

LogFile::LogFile(const std::filesystem::path& path)
    : path_(path.string()), descriptor_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  require(descriptor_.is_open(), "open");
}

bool LogFile::content_is(std::string_view text) const {
  std::string found(text.size(), '\0');
  return size() >= text.size() &&
         ::pread(descriptor_.get(), found.data(), found.size(), 0) == static_cast<ssize_t>(found.size()) &&
         found == text;
}

void LogFile::write_at(std::uint64_t offset, std::string_view text) {
  if (size() > offset) {
    require(::ftruncate(descriptor_.get(), static_cast<off_t>(offset)) == 0, "cut the torn last line of");
  }
  auto position = static_cast<off_t>(offset);
  while (!text.empty()) {
    const ssize_t count = ::pwrite(descriptor_.get(), text.data(), text.size(), position);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    require_or_cut(count > 0, offset);
    text.remove_prefix(static_cast<std::size_t>(count));
    position += count;
  }
  require_or_cut(::fsync(descriptor_.get()) == 0, offset);
}

void LogFile::close() {
  require(descriptor_.close() == 0, "close");
}

std::uint64_t LogFile::size() const {
  struct stat status {};
  require(::fstat(descriptor_.get(), &status) == 0, "look at");
  return static_cast<std::uint64_t>(status.st_size);
}

void LogFile::require(bool succeeded, const char* action) const {
  if (!succeeded) {
    fail("cannot {} {}: {}", action, path_, errno_text(errno));
  }
}

void LogFile::require_or_cut(bool succeeded, std::uint64_t offset) const {
  if (!succeeded) {
    const int reason = errno;
    const bool was_cut = size() <= offset || ::ftruncate(descriptor_.get(), static_cast<off_t>(offset)) == 0;
    fail("cannot append to {}: {}{}", path_, errno_text(reason), was_cut ? "" : "; its last line is torn");
  }
}

}  // namespace xtasc::io
