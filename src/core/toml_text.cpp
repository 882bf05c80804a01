#include "core/toml_text.hpp"

#include <algorithm>
#include <cstddef>

#include "core/error.hpp"
#include "core/utf8.hpp"

namespace xtasc {

namespace {

constexpr std::size_t kMaxBytes = std::size_t{64} * 1024;
constexpr std::size_t kMaxLineBytes = std::size_t{4} * 1024;

/// Follows a TOML text character by character, as far as to know what is a comment and what is quoted. In a text with a
/// syntax error it may be wrong behind the error, where the parser does not come. Behind a quote of which it cannot
/// tell whether it opens a string, as one in a dotted key, every character must be ASCII.
class Scanner {
 public:
  Scanner(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  void run() {
    at_ = text_.size() - without_byte_order_mark(text_).size();
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (quote_ != '\0') {
        step_in_string(c);
      } else if (c == '#' && !is_lost_) {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if ((c == '"' || c == '\'') && !is_lost_) {
        step_to_string(c);
      } else {
        need_ascii(c);
        ++at_;
      }
    }
  }

 private:
  void step_to_string(char quote) {
    is_lost_ = !begins_string();
    if (!is_lost_) {
      quote_ = quote;
      is_multi_line_ = quotes_here() >= 3;
      at_ += is_multi_line_ ? 3 : 1;
    }
  }

  void step_in_string(char c) {
    const bool skips_white_space = is_multi_line_ && quote_ == '"';  // after a backslash that ends the line
    if (skips_white_space) {
      need_ascii(c);
    }
    if (c == '\\' && quote_ == '"') {
      ++at_;
      if (skips_white_space && at_ < text_.size()) {
        need_ascii(text_[at_]);
      }
      ++at_;
    } else if (is_multi_line_ && quotes_here() >= 3) {
      at_ += std::min<std::size_t>(quotes_here(), 5);  // two quotes may stand before the closing three
      quote_ = '\0';
    } else {
      const bool is_end = !is_multi_line_ && (c == quote_ || c == '\n');
      quote_ = is_end ? '\0' : quote_;
      ++at_;
    }
  }

  /// Whether a quote here opens a string for certain, as where a key or a value begins; within or behind a number or a
  /// word the parser reads on over it.
  [[nodiscard]] bool begins_string() const {
    const std::string_view before =
        text_.substr(0, text_.substr(0, at_).find_last_not_of(" \t[{") + 1);  // npos + 1 is 0
    if (before.empty() || std::string_view("\r\n,").find(before.back()) != std::string_view::npos) {
      return true;
    }
    return before.back() == '=' && before.find('=', before.find_last_of("\n,[{") + 1) == before.size() - 1;
  }

  /// How many characters like quote_ stand here.
  [[nodiscard]] std::size_t quotes_here() const {
    return std::min(text_.find_first_not_of(quote_, at_), text_.size()) - at_;
  }

  void need_ascii(char c) const {
    if (static_cast<unsigned char>(c) < 0x80) {
      return;
    }
    const std::string_view before = text_.substr(0, at_);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t column = line == 1 ? at_ + 1 : at_ - before.rfind('\n');
    fail_usage("{}:{}:{}: a character that is not ASCII may stand in comments and one-line strings only{}", source_,
               line, column, is_lost_ ? ", and nowhere behind a quote within a key or a word" : "");
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t at_ = 0;
  char quote_ = '\0';  ///< of the string that at_ is in, or 0
  bool is_multi_line_ = false;
  bool is_lost_ = false;  ///< there was a quote that may have opened a string or not
};

}  // namespace

void check_toml_text(std::string_view text, const std::string& source) {
  if (const auto fault = encoding_fault(text)) {
    fail_usage("{}: {}", source, *fault);
  }
  if (text.size() > kMaxBytes) {
    fail_usage("{}: {} bytes are too many, {} is the limit", source, text.size(), kMaxBytes);
  }
  std::size_t number = 1;
  for (std::string_view rest = text; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (end > kMaxLineBytes) {
      fail_usage("{}:{}:1: a line of {} bytes, {} is the limit: break the list into several lines", source, number, end,
                 kMaxLineBytes);
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  Scanner(text, source).run();
}

}  // namespace xtasc
