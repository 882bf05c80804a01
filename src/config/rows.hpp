#pragma once

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.hpp"

// What the tables of systems and of methods have in common: rows that are known by a word.
namespace xtasc::config {

/// \throws Error when there is no such word
template <typename Row>
const Row& row_of(const std::vector<Row>& rows, std::string_view word, std::string_view what) {
  const auto found = std::ranges::find(rows, word, &Row::word);
  check(found != rows.end(), "there is no {} \"{}\"", what, word);
  return *found;
}

/// \throws Error when there is such a word already
template <typename Row>
void add_row(std::vector<Row>& rows, Row row, std::string_view what) {
  check(std::ranges::find(rows, row.word, &Row::word) == rows.end(), "there is a {} \"{}\" already", what, row.word);
  rows.push_back(std::move(row));
}

}  // namespace xtasc::config
