#include "io/atomic_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "core/file_lock.hpp"
#include "io/file.hpp"

namespace xtasc::io {

namespace {

namespace fs = std::filesystem;

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
  const fs::path end = end_of_links(path);
  {
    Descriptor fd(::open(temporary.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.is_open()) {
      fail_on("open", temporary, errno);
    }
    if (::fsync(fd.get()) != 0) {
      fail_on("write", path, errno);
    }
  }
  if (::rename(temporary.c_str(), end.c_str()) != 0) {
    fail_on("write", path, errno);
  }
  sync_folder(folder_of(end));
}

void write_file_atomically(const fs::path& path, std::span<const std::byte> bytes) {
  const fs::path end = end_of_links(path);
  remove_stale_temporaries(end);
  const fs::path temporary = temporary_path(end);
  Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!fd.is_open()) {
    fail_on("write", path, errno);
  }
  RemoveOnExit guard(temporary);
  write_all(fd.get(), bytes, path);
  if (::fsync(fd.get()) != 0 || fd.close() != 0) {
    fail_on("write", path, errno);
  }
  if (::rename(temporary.c_str(), end.c_str()) != 0) {
    fail_on("write", path, errno);
  }
  guard.release();
  sync_folder(folder_of(end));
}

void write_file_atomically(const fs::path& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text)));
}

void check_can_write(const fs::path& path) {
  const fs::path folder = folder_of(end_of_links(path));
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    fail_usage("cannot write '{}': {}", path.string(), errno_text(errno));
  }
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    fail_usage("cannot write '{}': {} is no folder", path.string(), folder.string());
  }
  if (fs::is_directory(path, error)) {
    fail_usage("cannot write '{}': it is a folder, a file is expected", path.string());
  }
}

void check_can_write_page(std::string_view option, const fs::path& path) {
  if (path.extension() != ".html" && path.extension() != ".htm") {
    fail_usage("{} {}: the name of a page must end in .html", option, path.string());
  }
  check_can_write(path);
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
