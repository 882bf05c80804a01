#pragma once

#include <string_view>
#include <vector>

#include "config/systems.hpp"

namespace xtasc::test {

/// The words of all weighting methods.
inline std::vector<std::string_view> method_words() {
  std::vector<std::string_view> words;
  for (const config::Method& method : config::methods()) {
    words.push_back(method.word);
  }
  return words;
}

}  // namespace xtasc::test
