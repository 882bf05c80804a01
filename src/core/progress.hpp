#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace xtasc {

/// Progress of long work on standard error: one live line, cut to the window, on a terminal; a plain line every ten
/// seconds elsewhere, and where TERM is dumb. Silent after set_quiet(true).
class Progress {
 public:
  /// \param label  what is being done, e.g. "packing train"
  /// \param total  units of work in all, > 0
  Progress(std::string label, std::int64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Shows "label done/total detail, rate, time left"; cheap enough for every unit (it draws at most ten times a
  /// second).
  void update(std::int64_t done, const std::string& detail = {});

  /// Units a second since the first update.
  [[nodiscard]] double rate() const;

 private:
  void draw(const std::string& detail);

  std::string label_;
  std::int64_t total_;
  std::int64_t done_ = 0;
  bool on_terminal_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_draw_;
};

/// Erases the live line, so that a log line does not run into it.
void clear_live_line();

/// "3 h 05 min", "4 min 12 s" or "9 s".
[[nodiscard]] std::string duration_text(double seconds);

}  // namespace xtasc
