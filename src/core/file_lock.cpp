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

/// flock, again where a signal came in between. \returns 0, or errno: EWOULDBLOCK when another holds a lock that
/// excludes this one
int lock_now(int descriptor, int operation) {
  int error = 0;
  do {
    error = ::flock(descriptor, operation | LOCK_NB) == 0 ? 0 : errno;
  } while (error == EINTR);
  return error;
}

std::string fault_text(const std::filesystem::path& path, int error) {
  const bool has_none = error == ENOLCK || error == ENOSYS || error == EOPNOTSUPP;
  return fmt::format(
      "cannot lock {}: {}{}", path.string(), errno_text(error),
      has_none ? " (its file system keeps no locks; NFS wants lockd for them, Lustre the mount option flock)" : "");
}

/// For a lock that nobody can do without.
void check_kept(const LockAttempt& made) {
  check(made.fault.empty(), "{}: two at once would spoil each other's work, so choose a folder on another file system",
        made.fault);
}

/// A file open for a look at its lock. The shared lock that a look takes, let go at once, excludes nobody who also only
/// looks; one who takes the lock in this very moment tries again or is told that another holds it.
class Look {
 public:
  /// O_NONBLOCK says nothing to a file; a named pipe in its place must not block.
  explicit Look(const std::filesystem::path& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~Look() {
    if (is_open()) {
      ::close(descriptor_);
    }
  }
  Look(const Look&) = delete;
  Look& operator=(const Look&) = delete;

  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  [[nodiscard]] int descriptor() const { return descriptor_; }
  /// As lock_now().
  [[nodiscard]] int error() const { return lock_now(descriptor_, LOCK_SH); }

 private:
  int descriptor_;
};

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

LockAttempt FileLock::attempt(const std::filesystem::path& path, const std::string& note, double seconds) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  check(descriptor >= 0, "cannot open {}: {}", path.string(), errno_text(errno));
  FileLock lock(descriptor);
  const auto start = std::chrono::steady_clock::now();
  int error = 0;
  while ((error = lock_now(descriptor, LOCK_EX)) == EWOULDBLOCK) {
    const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - start;
    if (waited.count() >= seconds) {
      return {};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  if (error != 0) {
    return {.lock = std::nullopt, .fault = fault_text(path, error)};
  }
  if (!note.empty()) {
    const std::string line = note + "\n";
    // The note is for people: the lock holds without it.
    static_cast<void>(::ftruncate(descriptor, 0) == 0 && ::pwrite(descriptor, line.data(), line.size(), 0) >= 0);
  }
  return {.lock = std::move(lock), .fault = {}};
}

std::optional<FileLock> FileLock::try_take(const std::filesystem::path& path, const std::string& note) {
  LockAttempt made = attempt(path, note, 0.0);
  check_kept(made);
  return std::move(made.lock);
}

FileLock FileLock::take(const std::filesystem::path& path, const std::string& note, double timeout_seconds) {
  LockAttempt made = attempt(path, note, timeout_seconds);
  check_kept(made);
  check(made.lock.has_value(), "{} is held by {} for more than {:.0f} s", path.string(),
        lock_holder(path).value_or("another process"), timeout_seconds);
  return std::move(*made.lock);
}

bool is_locked(const std::filesystem::path& path) {
  const Look look(path);
  return look.is_open() && look.error() == EWOULDBLOCK;
}

std::optional<std::string> lock_holder(const std::filesystem::path& path) {
  const Look look(path);
  return look.is_open() && look.error() == EWOULDBLOCK ? std::optional(first_line_of(look.descriptor())) : std::nullopt;
}

}  // namespace xtasc
