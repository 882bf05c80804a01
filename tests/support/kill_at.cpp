// A library for LD_PRELOAD that ends a process as `kill -9` would, or lets it hang, just before its N-th change to the
// files of a folder:
//   XTASC_KILL_UNDER   the folder; what lies elsewhere is not counted
//   XTASC_KILL_AT      N, from 1; 0 ends nothing
//   XTASC_HANG_AT      the same, but the thread that makes the change waits for ever, as on a file system that hangs
//   XTASC_HANG_OPEN    a part of a path: who opens such a file waits for ever, as where its server is away
//   XTASC_DELAY_MS     every change takes this much longer
//   XTASC_KILL_COUNT   a file that gets the number of changes when the process ends by itself

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace {

std::atomic<int> num_changes{0};

const char* setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void before_change(const char* path) {
  const char* folder = setting("XTASC_KILL_UNDER");
  if (*folder == '\0' || std::strstr(path, folder) == nullptr) {
    return;
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(std::atoi(setting("XTASC_DELAY_MS"))));
  const int change = ++num_changes;
  if (change == std::atoi(setting("XTASC_KILL_AT"))) {
    ::kill(::getpid(), SIGKILL);
  }
  while (change == std::atoi(setting("XTASC_HANG_AT"))) {
    ::pause();
  }
}

void before_change(int descriptor) {
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  if (::readlink(link.c_str(), path.data(), path.size() - 1) > 0) {
    before_change(path.data());
  }
}

void before_open(const char* path) {
  const char* part = setting("XTASC_HANG_OPEN");
  while (*part != '\0' && std::strstr(path, part) != nullptr) {
    ::pause();
  }
}

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

struct Report {
  ~Report() {
    const char* path = setting("XTASC_KILL_COUNT");
    if (std::FILE* file = *path == '\0' || num_changes == 0 ? nullptr : std::fopen(path, "w")) {
      std::fprintf(file, "%d\n", num_changes.load());
      std::fclose(file);
    }
  }
} report;

}  // namespace

extern "C" {

int rename(const char* from, const char* to) {
  before_change(to);
  return next<int(const char*, const char*)>("rename")(from, to);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  before_change(to);
  return next<int(int, const char*, int, const char*, unsigned)>("renameat2")(from_folder, from, to_folder, to, flags);
}

int link(const char* from, const char* to) {
  before_change(to);
  return next<int(const char*, const char*)>("link")(from, to);
}

int mkdir(const char* path, mode_t mode) {
  before_change(path);
  return next<int(const char*, mode_t)>("mkdir")(path, mode);
}

int ftruncate(int descriptor, off_t length) {
  before_change(descriptor);
  return next<int(int, off_t)>("ftruncate")(descriptor, length);
}

ssize_t pwrite(int descriptor, const void* bytes, size_t count, off_t offset) {
  before_change(descriptor);
  return next<ssize_t(int, const void*, size_t, off_t)>("pwrite")(descriptor, bytes, count, offset);
}

int open(const char* path, int flags, ...) {  // NOLINT: POSIX's form
  std::va_list more;
  va_start(more, flags);
  const mode_t mode = va_arg(more, mode_t);
  va_end(more);
  before_open(path);
  return next<int(const char*, int, ...)>("open")(path, flags, mode);
}

int open64(const char* path, int flags, ...) {  // NOLINT: POSIX's form
  std::va_list more;
  va_start(more, flags);
  const mode_t mode = va_arg(more, mode_t);
  va_end(more);
  before_open(path);
  return next<int(const char*, int, ...)>("open64")(path, flags, mode);
}

std::FILE* fopen64(const char* path, const char* mode) {
  before_open(path);
  return next<std::FILE*(const char*, const char*)>("fopen64")(path, mode);
}

int fsync(int descriptor) {
  before_change(descriptor);
  return next<int(int)>("fsync")(descriptor);
}
}
