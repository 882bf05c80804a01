#pragma once

#include <cstdlib>
#include <string_view>

namespace xtasc::test {

/// Whether this is the long tier (launch/test.sh --long): then all of a matrix, else a witness of each claim.
inline bool is_long_tier() {
  const char* tests = std::getenv("XTASC_TESTS");
  return tests != nullptr && std::string_view(tests) == "long";
}

}  // namespace xtasc::test
