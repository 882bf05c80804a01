#pragma once

#include <string>
#include <vector>

namespace xtasc::sweep {

/// Several lines on standard error that are drawn over again, on a terminal; nothing elsewhere.
class LiveBlock {
 public:
  LiveBlock();
  ~LiveBlock();
  LiveBlock(const LiveBlock&) = delete;
  LiveBlock& operator=(const LiveBlock&) = delete;

  [[nodiscard]] bool is_on_terminal() const { return is_on_terminal_; }
  /// Replaces what is shown; lines are cut at the terminal's width.
  void draw(const std::vector<std::string>& lines);
  /// Takes the block away, for lines that are to stay; the next draw() puts it below them.
  void erase();

 private:
  bool is_on_terminal_;
  std::size_t num_shown_ = 0;
};

}  // namespace xtasc::sweep
