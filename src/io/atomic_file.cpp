#include "io/atomic_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "core/file_lock.hpp"

namespace xtasc::io {

namespace {

namespace fs = std::filesystem;

/// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  int close() noexcept { return fd_ < 0 ? 0 : ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

[[noreturn]] void fail_on(const char* action, const fs::path& path, int error_number) {
  fail("cannot {} '{}': {}", action, path.string(), errno_text(error_number));
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

std::string temporary_prefix(const fs::path& path) {
  return fmt::format(".{}.partial-", path.filename().string());
}

/// Removes a file when it goes out of scope, unless it was released.
class RemoveOnExit {
 public:
  explicit RemoveOnExit(fs::path path) : path_(std::move(path)) {}
  ~RemoveOnExit() {
    if (!released_) {
      ::unlink(path_.c_str());
    }
  }
  RemoveOnExit(const RemoveOnExit&) = delete;
  RemoveOnExit& operator=(const RemoveOnExit&) = delete;
  void release() noexcept { released_ = true; }

 private:
  fs::path path_;
  bool released_ = false;
};

void write_all(int fd, std::span<const std::byte> bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      fail_on("write", path, errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

/// The whole of a file that was just opened, or was not.
std::string read_all(const Descriptor& fd, const fs::path& path) {
  if (!fd.is_open()) {
    fail_on("read", path, errno);
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) {
    fail_on("read", path, errno);
  }
  // One more than there should be, to see the end without growing.
  std::string content(static_cast<std::size_t>(std::max<off_t>(status.st_size, 0)) + 1, '\0');
  std::size_t filled = 0;
  while (true) {
    if (filled == content.size()) {
      content.resize(content.size() + 4096);  // also for files that report no size, as in /proc
    }
    const ssize_t got = ::read(fd.get(), content.data() + filled, content.size() - filled);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      fail_on("read", path, errno);
    }
    if (got == 0) {
      content.resize(filled);
      return content;
    }
    filled += static_cast<std::size_t>(got);
  }
}

/// A writer is dead when no process has its number and nobody holds the file's lock (the number may be another host's).
bool writer_is_dead(const fs::path& temporary, pid_t pid) {
  return ::kill(pid, 0) != 0 && errno == ESRCH && !is_locked(temporary);
}

}  // namespace

fs::path temporary_path(const fs::path& path) {
  return folder_of(path) / fmt::format("{}{}", temporary_prefix(path), ::getpid());
}

void remove_stale_temporaries(const fs::path& path) noexcept {
  try {
    const std::string prefix = temporary_prefix(path);
    std::error_code ignored;
    std::vector<fs::path> stale;
    for (const auto& entry : fs::directory_iterator(folder_of(path), ignored)) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with(prefix)) {
        continue;
      }
      pid_t pid = 0;
      const char* end = name.data() + name.size();
      const auto [stop, error] = std::from_chars(name.data() + prefix.size(), end, pid);
      if (error == std::errc() && stop == end && pid > 0 && writer_is_dead(entry.path(), pid)) {
        stale.push_back(entry.path());
      }
    }
    for (const fs::path& file : stale) {
      fs::remove(file, ignored);
    }
  } catch (...) {  // cleaning up is a courtesy: it must not stop the work
  }
}

void publish_file(const fs::path& temporary, const fs::path& path) {
  {
    Descriptor fd(::open(temporary.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.is_open()) {
      fail_on("open", temporary, errno);
    }
    if (::fsync(fd.get()) != 0) {
      fail_on("write", path, errno);
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    fail_on("write", path, errno);
  }
  sync_folder(folder_of(path));
}

void write_file_atomically(const fs::path& path, std::span<const std::byte> bytes) {
  remove_stale_temporaries(path);
  const fs::path temporary = temporary_path(path);
  Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!fd.is_open()) {
    fail_on("write", path, errno);
  }
  RemoveOnExit guard(temporary);
  write_all(fd.get(), bytes, path);
  if (::fsync(fd.get()) != 0 || fd.close() != 0) {
    fail_on("write", path, errno);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    fail_on("write", path, errno);
  }
  guard.release();
  sync_folder(folder_of(path));
}

void write_file_atomically(const fs::path& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text)));
}

std::string read_file(const fs::path& path) {
  return read_all(Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), path);
}

std::string read_file_at(int folder, const std::string& name, const fs::path& path) {
  return read_all(Descriptor(::openat(folder, name.c_str(), O_RDONLY | O_CLOEXEC)), path);
}

void sync_folder(const fs::path& folder) {
  const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.is_open()) {
    fail_on("open folder", folder, errno);
  }
  // Some network file systems cannot fsync a folder (EINVAL); there is nothing better to do then.
  if (::fsync(fd.get()) != 0 && errno != EINVAL && errno != ENOTSUP) {
    fail_on("make durable the folder", folder, errno);
  }
}

}  // namespace xtasc::io
