#include "core/json.hpp"

#include <cmath>

namespace xtasc::json_fields {

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json object(const std::map<std::string, double>& values) {
  Json json = Json::object();
  for (const auto& [name, value] : values) {
    json[name] = number(value);
  }
  return json;
}

Json parse(const std::string& text) {
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

const Json& field(const Json& json, const std::string& key) {
  const auto found = json.find(key);
  check(found != json.end(), "the field \"{}\" is missing", key);
  return *found;
}

std::map<std::string, double> numbers(const Json& json, const std::string& key) {
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

}  // namespace xtasc::json_fields
