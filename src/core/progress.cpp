#include "core/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <utility>

#include "core/log.hpp"
#include "core/terminal.hpp"

namespace xtasc {

namespace {

using Seconds = std::chrono::duration<double>;
constexpr Seconds kTerminalInterval{0.1};
constexpr Seconds kPlainInterval{10.0};

std::atomic<bool> live_line_shown{false};

}  // namespace

void clear_live_line() {
  if (live_line_shown.exchange(false)) {
    std::fputs("\r\033[K", stderr);
  }
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<long>(std::lround(std::max(seconds, 0.0)));
  if (whole >= 3600) {
    return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
  }
  if (whole >= 60) {
    return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  }
  return fmt::format("{} s", whole);
}

Progress::Progress(std::string label, std::int64_t total)
    : label_(std::move(label)),
      total_(total),
      on_terminal_(can_redraw(STDERR_FILENO)),
      start_(std::chrono::steady_clock::now()),
      last_draw_(start_) {}

Progress::~Progress() {
  clear_live_line();
}

void Progress::update(std::int64_t done, const std::string& detail) {
  done_ = done;
  if (is_quiet()) {
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (now - last_draw_ >= (on_terminal_ ? kTerminalInterval : kPlainInterval)) {
    last_draw_ = now;
    draw(detail);
  }
}

double Progress::rate() const {
  const Seconds elapsed = std::chrono::steady_clock::now() - start_;
  return elapsed.count() > 0 ? static_cast<double>(done_) / elapsed.count() : 0.0;
}

void Progress::draw(const std::string& detail) {
  const double per_second = rate();
  const double left = per_second > 0 ? static_cast<double>(total_ - done_) / per_second : 0.0;
  const std::string text = fmt::format("{} {}/{}{}{}, {} left", label_, done_, total_, detail.empty() ? "" : ", ",
                                       detail, duration_text(left));
  if (on_terminal_) {
    // A line as wide as the window, or wider, would leave a row behind at every drawing.
    const std::string line = fmt::format("\r{}\033[K", cut_to_columns(text, terminal_size(STDERR_FILENO).columns - 1));
    static_cast<void>(std::fputs(line.c_str(), stderr));  // a terminal that has closed ends no work
    static_cast<void>(std::fflush(stderr));
    live_line_shown = true;
  } else {
    log_line(text);
  }
}

}  // namespace xtasc
