#include "core/command.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

#include "core/process.hpp"

namespace xtasc {

namespace {

using Clock = std::chrono::steady_clock;

/// Appends what is there to read. \returns false at its end
bool read_some(int fd, std::string& text) {
  std::array<char, 65536> buffer{};
  const ssize_t got = ::read(fd, buffer.data(), buffer.size());
  if (got > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return got > 0 || (got < 0 && errno == EINTR);
}

/// Reads both pipes until the command closed them. \returns false when time was up before
bool read_all(Pipe& output, Pipe& errors, CommandResult& result, Clock::time_point deadline) {
  constexpr std::chrono::milliseconds kLongestWait{1000};
  while (output.reader() >= 0 || errors.reader() >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) {
      return false;
    }
    std::array<pollfd, 2> polled = {pollfd{output.reader(), POLLIN, 0}, pollfd{errors.reader(), POLLIN, 0}};
    if (::poll(polled.data(), polled.size(), static_cast<int>(std::min(left, kLongestWait).count())) < 0) {
      continue;  // a signal: look at the clock again
    }
    if (polled[0].revents != 0 && !read_some(output.reader(), result.output)) {
      output.close_reader();
    }
    if (polled[1].revents != 0 && !read_some(errors.reader(), result.errors)) {
      errors.close_reader();
    }
  }
  return true;
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& words, const CommandOptions& options) {
  const Clock::time_point deadline = options.timeout ? Clock::now() + *options.timeout : Clock::time_point::max();
  Pipe output, errors;
  Process process({.command = words,
                   .folder = options.folder,
                   .output = output.writer(),
                   .errors = options.is_merged ? output.writer() : errors.writer(),
                   .inherited = options.inherited,
                   .signal_when_orphaned = options.signal_when_orphaned,
                   .if_missing = options.if_missing});
  output.close_writer();
  errors.close_writer();
  CommandResult result;
  if (!read_all(output, errors, result, deadline)) {
    result.timed_out = true;
    process.kill_group();
  }
  result.exit_code = process.wait();
  return result;
}

std::string shell_word(const std::string& text) {
  const auto is_safe = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./:=,@%+").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_safe)) {
    return text;
  }
  std::string quoted = "'";
  for (const char c : text) {
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return quoted + "'";
}

}  // namespace xtasc
