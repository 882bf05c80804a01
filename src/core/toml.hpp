#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xtasc {

/// A value of a TOML text, free of the parser's types, with its place. Only core/toml.cpp knows the parser (toml++).
struct TomlValue {
  enum class Kind { boolean, integer, real, text, list, table, other };
  Kind kind = Kind::other;  ///< other: a date or a time
  bool boolean = false;
  std::int64_t integer = 0;
  double real = 0.0;         ///< of an integer too
  std::string literal = {};  ///< of a number: its digits as they stand in the text, "57.20"
  std::string text = {};
  std::vector<TomlValue> list = {};   ///< its elements
  std::vector<TomlValue> table = {};  ///< its entries, in the text's order
  std::string type_name = {};         ///< for messages, after "found": "the integer 3", "the list [1, 2]", ...
  std::string where = {};             ///< for messages: "SOURCE:LINE:COLUMN"
  std::string key = {};               ///< of an entry of a table
  std::string key_where = {};         ///< as `where`

  [[nodiscard]] bool is(Kind other) const { return kind == other; }
  /// An integer, or a real that is finite.
  [[nodiscard]] bool is_number() const;
  /// A list of tables, and not empty: [[key]].
  [[nodiscard]] bool is_list_of_tables() const;
  /// The entry of a table, nullptr when there is none, or this is no table.
  [[nodiscard]] const TomlValue* find(std::string_view name) const;
};

/// The root table of a TOML text. \param source  the file's name, or "--set ...": what messages begin with
/// \throws Error (exit code 2)  "SOURCE:LINE:COLUMN: what is wrong": no TOML, or what check_toml_text refuses
[[nodiscard]] TomlValue parse_toml(std::string_view text, const std::string& source);

/// The value of "key = TEXT"; nullopt when that is no TOML. \throws Error as check_toml_text, or when it is more than
/// one value
[[nodiscard]] std::optional<TomlValue> parse_toml_value(std::string_view text, const std::string& source);

}  // namespace xtasc
