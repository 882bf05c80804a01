#include "core/file_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "core/error.hpp"

namespace xtasc {

namespace {

/// flock again where a signal came in between. \returns false when another holds a lock that excludes this one
bool lock_now(int descriptor, int operation, const std::filesystem::path& path) {
  int result = 0;
  do {
    result = ::flock(descriptor, operation | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result != 0 && errno != EWOULDBLOCK) {
    fail("cannot lock {}: {}", path.string(), errno_text(errno));
  }
  return result == 0;
}

std::string first_line_of(int descriptor) {
  std::array<char, 256> buffer{};
  const ssize_t count = ::pread(descriptor, buffer.data(), buffer.size(), 0);
  const std::string text(buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  return text.substr(0, text.find('\n'));
}

}  // namespace

FileLock::~FileLock() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

std::optional<FileLock> FileLock::try_take(const std::filesystem::path& path, const std::string& note) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    fail("cannot open {}: {}", path.string(), errno_text(errno));
  }
  FileLock lock(descriptor);
  if (!lock_now(descriptor, LOCK_EX, path)) {
    return std::nullopt;
  }
  const std::string line = note + "\n";
  // The note is for people: the lock holds without it.
  static_cast<void>(::ftruncate(descriptor, 0) == 0 && ::pwrite(descriptor, line.data(), line.size(), 0) >= 0);
  return lock;
}

FileLock FileLock::take(const std::filesystem::path& path, const std::string& note, double timeout_seconds) {
  const auto start = std::chrono::steady_clock::now();
  while (true) {
    if (auto lock = try_take(path, note)) {
      return std::move(*lock);
    }
    const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - start;
    if (waited.count() > timeout_seconds) {
      fail("{} is held by {} for more than {:.0f} s", path.string(), lock_holder(path).value_or("another process"),
           timeout_seconds);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

std::optional<std::string> lock_holder(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return std::nullopt;
  }
  // A shared lock, let go at once, excludes nobody who also only looks; one who takes the lock in this very moment
  // tries again or is told that another holds it.
  const bool is_free = lock_now(descriptor, LOCK_SH, path);
  const std::string note = first_line_of(descriptor);
  ::close(descriptor);
  return is_free ? std::nullopt : std::optional(note);
}

std::string this_host() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return host.data();
}

std::string this_process() {
  return fmt::format("{}, process {}", this_host(), ::getpid());
}

}  // namespace xtasc
