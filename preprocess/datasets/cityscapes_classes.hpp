#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "pack/schema.hpp"

namespace xtasc::preprocess {

/// The seven categories of Cityscapes: flat, construction, object, nature, sky, human, vehicle; a category has the
/// official colour of its best-known label. \param name  of the data set: "label" or "label_7".
[[nodiscard]] pack::LabelSet label_set_7(std::string name);
/// The nineteen classes that Cityscapes evaluates, in the order of their train ids and in their official colours.
/// \param name  of the data set: "label" or "label_19".
[[nodiscard]] pack::LabelSet label_set_19(std::string name);

/// Label ids as *_labelIds.png holds them: 0 .. 33. Polygons of id -1 (licence plate) are not drawn in it.
/// Source: https://github.com/mcordts/cityscapesScripts, helpers/labels.py and preparation/json2labelImg.py
inline constexpr std::uint8_t kMaxLabelId = 33;

namespace detail {

/// The label id of each of the 19 classes.
inline constexpr std::array<std::uint8_t, 19> kIdOfClass19 = {7,  8,  11, 12, 13, 17, 19, 20, 21, 22,
                                                              23, 24, 25, 26, 27, 28, 31, 32, 33};
/// The first label id of each of the 7 categories, then the end of the last one.
inline constexpr std::array<std::uint8_t, 8> kFirstIdOfClass7 = {7, 11, 17, 21, 23, 24, 26, kMaxLabelId + 1};

constexpr std::array<std::uint8_t, 256> all_ignored() {
  std::array<std::uint8_t, 256> table{};
  for (std::uint8_t& entry : table) {  // fill() is not constexpr for all compilers in use
    entry = pack::kIgnoreLabel;
  }
  return table;
}

constexpr std::array<std::uint8_t, 256> make_table_7() {
  auto table = all_ignored();
  for (std::size_t category = 0; category + 1 < kFirstIdOfClass7.size(); ++category) {
    for (std::size_t id = kFirstIdOfClass7[category]; id < kFirstIdOfClass7[category + 1]; ++id) {
      table[id] = static_cast<std::uint8_t>(category);
    }
  }
  return table;
}

constexpr std::array<std::uint8_t, 256> make_table_19() {
  auto table = all_ignored();
  for (std::size_t train_id = 0; train_id < kIdOfClass19.size(); ++train_id) {
    table[kIdOfClass19[train_id]] = static_cast<std::uint8_t>(train_id);
  }
  return table;
}

}  // namespace detail

/// Label id -> one of 7 categories; kIgnoreLabel for void (0 .. 6) and for what is no label id.
inline constexpr std::array<std::uint8_t, 256> kClassOfId7 = detail::make_table_7();
/// Label id -> one of 19 classes; kIgnoreLabel for all others.
inline constexpr std::array<std::uint8_t, 256> kClassOfId19 = detail::make_table_19();

}  // namespace xtasc::preprocess
