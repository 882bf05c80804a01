#pragma once

#include <set>
#include <string_view>
#include <vector>

#include "config/methods.hpp"

namespace xtasc::test {

/// The words of all weighting methods.
inline std::vector<std::string_view> method_words() {
  std::vector<std::string_view> words;
  for (const config::Method& method : config::methods()) {
    words.push_back(method.word);
  }
  return words;
}

/// Of each kind of need the first method: a witness; or all others.
inline std::vector<std::string_view> witness_methods(bool witnesses = true) {
  std::set<config::Needs> seen;
  std::vector<std::string_view> words;
  for (const config::Method& method : config::methods()) {
    const bool is_first = method.word != "equal" && seen.insert(method.needs).second;
    if (is_first == witnesses) {
      words.push_back(method.word);
    }
  }
  return words;
}

}  // namespace xtasc::test
