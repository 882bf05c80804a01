#include "core/json.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace xtasc::json_fields {
namespace {

template <typename Call>
std::string message(const Call& call) {
  try {
    static_cast<void>(call());
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(JsonFields, AreOfTheirTypeOrAnErrorThatNamesThem) {
  const Json json =
      parse(R"({"text": "a", "yes": true, "count": 3, "real": 0.5, "none": null, "all": {"x": 1, "y": null}})");
  EXPECT_EQ(get<std::string>(json, "text"), "a");
  EXPECT_TRUE(get<bool>(json, "yes"));
  EXPECT_EQ(get<int>(json, "count"), 3);
  EXPECT_EQ(get<double>(json, "real"), 0.5);
  EXPECT_TRUE(std::isnan(get<double>(json, "none")));
  EXPECT_EQ(numbers(json, "all"), (std::map<std::string, double>{{"x", 1.0}}));
  EXPECT_EQ(message([&] { return get<int>(json, "real"); }), "the field \"real\" is 0.5, a whole number is needed");
  EXPECT_EQ(message([&] { return get<bool>(json, "text"); }), "the field \"text\" is string, true or false is needed");
  EXPECT_EQ(message([&] { return get<int>(json, "absent"); }), "the field \"absent\" is missing");
  EXPECT_EQ(message([&] { return numbers(json, "count"); }),
            "the field \"count\" is number, an object of numbers is needed");
}

TEST(JsonFields, WhatIsNoObjectIsRefused) {
  EXPECT_EQ(message([] { return parse("{\"a\": }"); }), "not JSON at byte 7");
  EXPECT_EQ(message([] { return parse("[1]"); }), "found array, an object {...} is needed");
  EXPECT_EQ(number(std::nan("")), Json(nullptr));
}

}  // namespace
}  // namespace xtasc::json_fields
