#include "guard.hpp"

#include <sanitizer/common_interface_defs.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <string>
#include <string_view>

#include "core/error.hpp"

#pragma weak __sanitizer_set_report_fd  // there in builds with sanitizers only

namespace xtasc::fuzz {

namespace {

constexpr double kMaxSeconds = 1.0;

[[noreturn]] void broken(std::string_view promise, std::string_view found) {
  std::fprintf(stderr, "promise broken: %.*s: %.*s\n", static_cast<int>(promise.size()), promise.data(),
               static_cast<int>(found.size()), found.data());
  std::abort();
}

void need(bool works, std::string_view call) {
  if (!works) {
    broken("the harness works", call);
  }
}

void send_reports_to(int descriptor) {
  if (__sanitizer_set_report_fd != nullptr) {
    __sanitizer_set_report_fd(reinterpret_cast<void*>(static_cast<std::intptr_t>(descriptor)));
  }
}

/// Takes what is written to stdout and stderr while it lives; sanitizers still report to the real stderr.
class CapturedOutput {
 public:
  CapturedOutput() : capture_(::memfd_create("output", MFD_CLOEXEC)) {
    need(capture_ >= 0, "memfd_create");
    flush();
    for (std::size_t i = 0; i < real_.size(); ++i) {
      real_[i] = ::dup(static_cast<int>(i) + 1);
      need(real_[i] >= 0 && ::dup2(capture_, static_cast<int>(i) + 1) >= 0, "dup");
    }
    send_reports_to(real_[1]);
  }
  ~CapturedOutput() { release(); }
  CapturedOutput(const CapturedOutput&) = delete;
  CapturedOutput& operator=(const CapturedOutput&) = delete;

  /// Puts the real outputs back. \returns what was printed.
  std::string release() {
    if (capture_ < 0) {
      return {};
    }
    flush();
    send_reports_to(STDERR_FILENO);
    for (std::size_t i = 0; i < real_.size(); ++i) {
      ::dup2(real_[i], static_cast<int>(i) + 1);
      ::close(real_[i]);
    }
    std::string text(512, '\0');
    const ssize_t length = ::pread(capture_, text.data(), text.size(), 0);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    ::close(capture_);
    capture_ = -1;
    return text;
  }

 private:
  static void flush() {
    std::fflush(stdout);
    std::fflush(stderr);
  }

  int capture_ = -1;
  std::array<int, 2> real_{};
};

double cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void check_line(std::string_view text) {
  const bool is_line =
      !text.empty() && std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (!is_line) {
    broken("an error is one readable line", text);
  }
}

}  // namespace

InputFile::InputFile(std::span<const std::uint8_t> bytes) {
  std::string pattern = "/dev/shm/xtasc-fuzz-XXXXXX";
  const int descriptor = ::mkstemp(pattern.data());
  need(descriptor >= 0, "mkstemp in /dev/shm");
  path_ = pattern;
  need(::write(descriptor, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "write");
  ::close(descriptor);
}

InputFile::~InputFile() {
  ::unlink(path_.c_str());
}

void expect_value_or_error(const std::function<void()>& read) {
  CapturedOutput output;
  const double start = cpu_seconds();
  std::string foreign_exception;
  std::string message = "none";
  try {
    read();
  } catch (const Error& error) {
    message = error.what();
  } catch (const std::exception& error) {
    foreign_exception = error.what();
    foreign_exception += " (no xtasc::Error)";
  } catch (...) {
    foreign_exception = "of an unknown type";
  }
  const double seconds = cpu_seconds() - start;
  const std::string printed = output.release();
  if (!foreign_exception.empty()) {
    broken("the only exception is xtasc::Error", foreign_exception);
  }
  check_line(message);
  if (std::getenv("FUZZ_VERBOSE") != nullptr) {
    std::fprintf(stderr, "error: %s\n", message.c_str());
  }
  if (!printed.empty()) {
    broken("nothing is printed", printed);
  }
  if (seconds > kMaxSeconds) {
    broken("at most a second", std::to_string(seconds) + " s");
  }
}

void look_at(std::span<const std::byte> bytes) {
  static volatile unsigned seen = 0;
  unsigned sum = seen;
  for (const std::byte byte : bytes) {
    sum += std::to_integer<unsigned>(byte);
  }
  seen = sum;
}

}  // namespace xtasc::fuzz
