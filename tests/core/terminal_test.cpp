#include "core/terminal.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <string>

namespace xtasc {
namespace {

/// A terminal that nobody looks at, and TERM and NO_COLOR put back afterwards.
class TerminalTest : public testing::Test {
 protected:
  TerminalTest() {
    EXPECT_GE(master_, 0);
    EXPECT_EQ(::grantpt(master_) + ::unlockpt(master_), 0);
    terminal_ = ::open(::ptsname(master_), O_RDWR | O_NOCTTY | O_CLOEXEC);
    EXPECT_GE(terminal_, 0);
  }

 public:
  ~TerminalTest() override {
    set("TERM", term_);
    set("NO_COLOR", no_color_);
    ::close(terminal_);
    ::close(master_);
  }
  TerminalTest(const TerminalTest&) = delete;
  TerminalTest& operator=(const TerminalTest&) = delete;

 protected:
  static std::optional<std::string> get(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  }
  static void set(const char* name, const std::optional<std::string>& value) {
    value ? ::setenv(name, value->c_str(), 1) : ::unsetenv(name);
  }
  void resize(unsigned short columns, unsigned short rows) const {
    winsize size{};
    size.ws_col = columns;
    size.ws_row = rows;
    EXPECT_EQ(::ioctl(terminal_, TIOCSWINSZ, &size), 0);
  }

  std::optional<std::string> term_ = get("TERM"), no_color_ = get("NO_COLOR");
  int master_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  int terminal_ = -1;
};

TEST_F(TerminalTest, LinesAreDrawnOverOnlyWhereThatWorks) {
  set("NO_COLOR", std::nullopt);
  for (const char* kind : {"xterm-256color", "screen", "vt100"}) {
    set("TERM", kind);
    EXPECT_TRUE(can_redraw(terminal_)) << kind;
    EXPECT_TRUE(may_have_colours(terminal_)) << kind;
  }
  set("NO_COLOR", "1");
  EXPECT_TRUE(can_redraw(terminal_));
  EXPECT_FALSE(may_have_colours(terminal_));
  set("NO_COLOR", "");
  EXPECT_TRUE(may_have_colours(terminal_)) << "empty counts as not set";
  for (const auto& kind :
       {std::optional<std::string>("dumb"), std::optional<std::string>(""), std::optional<std::string>()}) {
    set("TERM", kind);
    EXPECT_FALSE(can_redraw(terminal_));
    EXPECT_FALSE(may_have_colours(terminal_));
  }
  set("TERM", "xterm");
  const int file = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  EXPECT_FALSE(can_redraw(file));
  ::close(file);
}

TEST_F(TerminalTest, SizeIsTheWindowsNow) {
  EXPECT_EQ(terminal_size(terminal_).columns, 80U) << "it does not say";
  resize(30, 10);
  EXPECT_EQ(terminal_size(terminal_).columns, 30U);
  EXPECT_EQ(terminal_size(terminal_).rows, 10U);
  resize(1, 1);
  EXPECT_EQ(terminal_size(terminal_).columns, 1U);
}

TEST(CutToColumns, CountsWhatATerminalShows) {
  EXPECT_EQ(cut_to_columns("epoch 1/3", 5), "epoch");
  EXPECT_EQ(cut_to_columns("epoch 1/3", 80), "epoch 1/3");
  EXPECT_EQ(cut_to_columns("epoch", 0), "");
  EXPECT_EQ(cut_to_columns("a\tb\nc\x1b[Kd", 80), "a b c [Kd") << "nothing moves the cursor";
  EXPECT_EQ(cut_to_columns("\u00e9t\u00e9 2", 3), "\u00e9t\u00e9");
  EXPECT_EQ(cut_to_columns("\u2026x", 1), "") << "some of these take two columns";
  EXPECT_EQ(cut_to_columns("\u65e5\u672c\u8a9e", 5), "\u65e5\u672c");
  EXPECT_EQ(cut_to_columns("\U0001f600!", 3), "\U0001f600!");
  EXPECT_EQ(cut_to_columns("caf\xe9 x", 5), "caf\xe9 x") << "Latin-1: taken for one character of three bytes";
  EXPECT_EQ(cut_to_columns("\xe9", 5), "\xe9");
}

}  // namespace
}  // namespace xtasc
