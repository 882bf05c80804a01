#include "io/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>

#include "core/utf8.hpp"

namespace xtasc::io {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_to_read(const fs::path& path, int error_number) {
  fail("cannot read '{}': {}", path.string(), errno_text(error_number));
}

/// At most `max_bytes` of a file that was just opened, or was not.
std::string read_up_to(const Descriptor& fd, std::size_t max_bytes, const fs::path& path) {
  if (!fd.is_open()) {
    fail_to_read(path, errno);
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) {
    fail_to_read(path, errno);
  }
  // A device may have no end, and a pipe nothing yet.
  const std::string_view kind = S_ISDIR(status.st_mode)    ? "a folder"
                                : S_ISFIFO(status.st_mode) ? "a named pipe"
                                                           : "no file with bytes in it";
  check(S_ISREG(status.st_mode), "cannot read '{}': it is {}, a file is expected", path.string(), kind);
  // One more than there should be, to see the end without growing.
  const auto size = static_cast<std::size_t>(std::max<off_t>(status.st_size, 0));
  std::string content(std::min(size + 1, max_bytes), '\0');
  std::size_t filled = 0;
  while (filled < max_bytes) {
    if (filled == content.size()) {
      content.resize(std::min(content.size() + 4096, max_bytes));  // also for files that report no size, as in /proc
    }
    const ssize_t got = ::read(fd.get(), content.data() + filled, content.size() - filled);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      fail_to_read(path, errno);
    }
    if (got == 0) {
      break;
    }
    filled += static_cast<std::size_t>(got);
  }
  content.resize(filled);
  return content;
}

/// Empty for a file, and for nothing.
std::string_view name_of(fs::file_type type) {
  switch (type) {
    case fs::file_type::directory:
      return "a folder";
    case fs::file_type::fifo:
      return "a named pipe";
    case fs::file_type::socket:
      return "a socket";
    case fs::file_type::block:
    case fs::file_type::character:
      return "a device";
    default:
      return "";
  }
}

constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

}  // namespace

int Descriptor::close() noexcept {
  return fd_ < 0 ? 0 : ::close(std::exchange(fd_, -1));
}

std::string_view other_kind(const fs::path& path) {
  std::error_code error;
  return name_of(fs::status(path, error).type());
}

std::string fault_of_file(const fs::path& path, std::string_view wanted) {
  std::error_code error, ignored;
  const fs::file_type type = fs::status(path, error).type();
  if (const std::string_view kind = name_of(type); !kind.empty()) {
    return fmt::format("it is {}, {} is expected", kind, wanted);
  }
  if (error == std::errc::too_many_symbolic_link_levels) {
    return "it is one of links that lead in a circle";
  }
  return type == fs::file_type::not_found && fs::is_symlink(path, ignored)
             ? fmt::format("it is a link that leads nowhere ({})", fs::read_symlink(path, ignored).string())
             : "";
}

void check_is_file(const fs::path& path, std::string_view wanted) {
  const std::string fault = fault_of_file(path, wanted);
  check(fault.empty(), "cannot read '{}': {}", path.string(), fault);
}

Descriptor open_file(const fs::path& path, std::string_view wanted) {
  check_is_file(path, wanted);
  // O_NONBLOCK says nothing to a file; a pipe that just took its place must not block.
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.is_open()) {
    fail_to_read(path, errno);
  }
  return fd;
}

std::string read_file(const fs::path& path, std::string_view wanted) {
  return read_up_to(open_file(path, wanted), kAll, path);
}

std::string read_head(const fs::path& path, std::size_t max_bytes, std::string_view wanted) {
  return read_up_to(open_file(path, wanted), max_bytes, path);
}

std::string read_file_at(int folder, const std::string& name, const fs::path& path) {
  return read_up_to(Descriptor(::openat(folder, name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), kAll, path);
}

std::string read_config_file(const fs::path& path, std::string_view wanted) {
  try {
    return read_file(path, wanted);
  } catch (const Error& error) {
    throw Error(error.what(), ExitCode::usage);
  }
}

std::string read_text(const fs::path& path, std::string_view wanted) {
  const std::string text = read_file(path, wanted);
  if (const auto fault = encoding_fault(text)) {
    fail("'{}': {}", path.string(), *fault);
  }
  return std::string(without_byte_order_mark(text));
}

fs::path end_of_links(const fs::path& path) {
  constexpr int kMaxLinks = 40;  // Linux's own limit
  std::error_code error;
  fs::path end = path;
  for (int i = 0; fs::is_symlink(end, error); ++i) {
    check(end.parent_path() != "/proc/self/fd" && end.parent_path() != "/dev/fd",
          "cannot write '{}': it is what this program has open, not a file's own name", path.string());
    check(i < kMaxLinks, "cannot write '{}': {}", path.string(), errno_text(ELOOP));
    end = end.parent_path() / fs::read_symlink(end, error);  // an absolute one stands alone
    check(!error, "cannot write '{}': {}", path.string(), error.message());
  }
  const std::string_view kind = other_kind(end);
  check(kind.empty(), "cannot write '{}': it is {}, a file is expected", path.string(), kind);
  return end;
}

}  // namespace xtasc::io
