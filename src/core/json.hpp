#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>

#include "core/error.hpp"

/// Strict reading and writing of the project's own JSON files. Readers throw Error naming the field, what was found and
/// what is needed; keys that a later version added are ignored.
namespace xtasc::json_fields {

using Json = nlohmann::ordered_json;

/// A number, or null for NaN and the infinities, which JSON lacks.
[[nodiscard]] Json number(double value);

/// Every entry by its name, in the map's order.
[[nodiscard]] Json object(const std::map<std::string, double>& values);

/// One JSON object from text. \throws Error with the reason and the byte.
[[nodiscard]] Json parse(const std::string& text);

/// The field `key`. \throws Error when it is missing.
[[nodiscard]] const Json& field(const Json& json, const std::string& key);

/// The field `key` as T: std::string, bool, an integer type, or double (null gives NaN).
template <typename T>
[[nodiscard]] T get(const Json& json, const std::string& key) {
  const Json& value = field(json, key);
  if constexpr (std::is_same_v<T, std::string>) {
    check(value.is_string(), "the field \"{}\" is {}, a text is needed", key, value.type_name());
  } else if constexpr (std::is_same_v<T, bool>) {
    check(value.is_boolean(), "the field \"{}\" is {}, true or false is needed", key, value.type_name());
  } else if constexpr (std::is_integral_v<T>) {
    check(value.is_number_integer(), "the field \"{}\" is {}, a whole number is needed", key, value.dump());
  } else {
    if (value.is_null()) {
      return std::numeric_limits<T>::quiet_NaN();
    }
    check(value.is_number(), "the field \"{}\" is {}, a number or null is needed", key, value.type_name());
  }
  return value.template get<T>();
}

/// The field `key`, an object of numbers. Entries that are null (NaN when written) are absent.
[[nodiscard]] std::map<std::string, double> numbers(const Json& json, const std::string& key);

}  // namespace xtasc::json_fields
