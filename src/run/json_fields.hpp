#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>

#include "core/error.hpp"

namespace xtasc::run {

/// Strict reading and writing of the project's own JSON files. Readers throw Error naming the field, what was found and
/// what is needed; keys that a later version added are ignored.
namespace json_fields {

using Json = nlohmann::ordered_json;

/// A number, or null for NaN and the infinities, which JSON lacks.
[[nodiscard]] inline Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

/// Every entry by its name, in the map's order.
[[nodiscard]] inline Json object(const std::map<std::string, double>& values) {
  Json json = Json::object();
  for (const auto& [name, value] : values) {
    json[name] = number(value);
  }
  return json;
}

/// One JSON value from text. \throws Error with the reason and the column.
[[nodiscard]] inline Json parse(const std::string& text) {
  try {
    Json json = Json::parse(text);
    check(json.is_object(), "found {}, an object {{...}} is needed", json.type_name());
    return json;
  } catch (const nlohmann::json::parse_error& error) {
    fail("not JSON at byte {}", error.byte);
  } catch (const nlohmann::json::exception&) {
    fail("not JSON: a number is out of range");
  }
}

/// The field `key`. \throws Error when it is missing.
[[nodiscard]] inline const Json& field(const Json& json, const std::string& key) {
  const auto found = json.find(key);
  check(found != json.end(), "the field \"{}\" is missing", key);
  return *found;
}

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
[[nodiscard]] inline std::map<std::string, double> numbers(const Json& json, const std::string& key) {
  const Json& values = field(json, key);
  check(values.is_object(), "the field \"{}\" is {}, an object of numbers is needed", key, values.type_name());
  std::map<std::string, double> result;
  for (const auto& [name, value] : values.items()) {
    if (!value.is_null()) {
      check(value.is_number(), "the field \"{}.{}\" is {}, a number or null is needed", key, name, value.type_name());
      result.emplace(name, value.template get<double>());
    }
  }
  return result;
}

}  // namespace json_fields
}  // namespace xtasc::run
