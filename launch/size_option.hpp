#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "core/error.hpp"
#include "pack/schema.hpp"

namespace xtasc::launch {

/// "288x384" -> {288, 384}. \throws Error (exit code 2 when it is no size) unless the net can take it
[[nodiscard]] inline std::pair<std::int64_t, std::int64_t> parse_size(const std::string& option,
                                                                      const std::string& text) {
  long height = 0;
  long width = 0;
  int used = 0;
  if (std::sscanf(text.c_str(), "%6ldx%6ld%n", &height, &width, &used) != 2 ||
      static_cast<std::size_t>(used) != text.size()) {
    fail_usage("{} must be HEIGHTxWIDTH, e.g. 288x384, found \"{}\"", option, text);
  }
  pack::check_size(height, width);
  return {height, width};
}

}  // namespace xtasc::launch
