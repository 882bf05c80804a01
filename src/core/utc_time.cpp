#include "core/utc_time.hpp"

#include <array>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <string_view>

#include "core/error.hpp"

namespace xtasc {

std::string utc_now() {
  std::time_t now = std::time(nullptr);
  const char* given = std::getenv("SOURCE_DATE_EPOCH");
  if (const std::string_view text = given == nullptr ? "" : given; !text.empty()) {
    constexpr std::time_t kLast = 253402300799;  // 9999-12-31T23:59:59Z
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), now);
    if (error != std::errc() || end != text.data() + text.size() || text.front() == '-' || now > kLast) {
      fail_usage("SOURCE_DATE_EPOCH is \"{}\", a whole number of seconds since 1970 is needed, 0 to {}", text, kLast);
    }
  }
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

}  // namespace xtasc
