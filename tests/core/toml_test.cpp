#include "core/toml.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "core/nearest.hpp"
#include "core/toml_text.hpp"

namespace xtasc {
namespace {

using Kind = TomlValue::Kind;

std::string message(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "";
}

TEST(Toml, NumbersKeepTheirDigits) {
  const TomlValue root =
      parse_toml("# \u00e9\na = { name = \"\u00e9\", list = [57.20, -1e-4, 7], x = 3 }\r\nb = +2.50", "a.toml");
  const TomlValue& list = *root.find("a")->find("list");
  EXPECT_EQ(list.list[0].literal, "57.20");
  EXPECT_EQ(list.list[1].literal, "-1e-4");
  EXPECT_EQ(list.list[2].literal, "7");
  EXPECT_EQ(root.find("a")->find("x")->literal, "3");
  EXPECT_EQ(root.find("b")->literal, "+2.50");
}

TEST(TomlText, WhatTheParserCannotTakeIsRefused) {
  const auto refusal = [](const std::string& text) -> std::string {
    try {
      check_toml_text(text, "a.toml");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  for (const char* good :
       {"# \u00e9\na = \"\u00e9\"", "a='\u00e9'", "\"\u00e9\" = 1", "a = [[\"\u00e9\"],\n\"\u00e9\"]",
        "\xef\xbb\xbf# BOM", "a = \"\\\"\u00e9\"", "a = '''\u00e9'''", "a = \"\" # \u00e9", "a = {\"\u00e9\" = 1}",
        "a.'b' = 'c'", "", "a = { b = \"\u00e9\", c = [ '\u00e9', '\u00e9' ] }", "\"\u00e9\"\t=\t\"\u00e9\"",
        "[ \"\u00e9\" ]\n  \"\u00e9\" = { \"\u00e9\" = '\u00e9' }"}) {
    EXPECT_EQ(refusal(good), "") << good;
  }
  for (const char* bad : {"\u00e9 = 1", "a = \u00e9", "a = \"x\" \u00e9", "a = 3'\u00e9'", "a = 3='\u00e9'",
                          "a = 3['\u00e9'", "a = \"\"\"\u00e9\"\"\"", "a = \"\"\"\\\u00e9\"\"\"", "a = \"x\n\u00e9",
                          "a = \"\\\\\" \u00e9", "''.'.&,'\u00e9", "a.'b' = '\u00e9'", "a = 3{'\u00e9'",
                          "a = 3 '\u00e9'", "e=4222-0?-00 0 '''?\u00e9", "a = 1 = '\u00e9'", "a = 'x' '\u00e9'"}) {
    EXPECT_THAT(refusal(bad), testing::HasSubstr("not ASCII")) << bad;
  }
  EXPECT_THAT(refusal("a = 1\nb = \u00e9"), testing::StartsWith("a.toml:2:5: "));
  EXPECT_EQ(refusal("\n" + std::string(5000, 'x')),
            "a.toml:2:1: a line of 5000 bytes, 4096 is the limit: break the list into several lines");
  EXPECT_EQ(refusal(std::string(70'000, '\n')), "a.toml: 70000 bytes are too many, 65536 is the limit");
}

TEST(Toml, ValuesStandInTheTextsOrderWithTheirPlaces) {
  const TomlValue root =
      parse_toml("z = 3\n[b]\ny = [1.5, \"x\"]\nx.w = true\n[[c]]\n[[c]]\na = 1979-05-27\n", "a.toml");
  ASSERT_EQ(root.table.size(), 3U);
  EXPECT_EQ(root.table[0].key, "z");
  EXPECT_EQ(root.table[0].type_name, "the integer 3");
  EXPECT_EQ(root.table[0].real, 3.0);
  EXPECT_EQ(root.table[0].key_where, "a.toml:1:1");
  EXPECT_EQ(root.table[0].where, "a.toml:1:5");
  const TomlValue& b = root.table[1];
  EXPECT_EQ(b.where, "a.toml:2:1");
  EXPECT_EQ(b.find("y")->list[0].real, 1.5);
  EXPECT_EQ(b.find("y")->list[1].type_name, "the string \"x\"");
  EXPECT_EQ(parse_toml("y = []\n", "empty.toml").table[0].type_name, "an empty list");
  EXPECT_EQ(b.find("y")->list[1].where, "a.toml:3:11");
  EXPECT_TRUE(b.find("x")->find("w")->boolean);
  EXPECT_EQ(b.find("none"), nullptr);
  EXPECT_TRUE(root.table[2].is_list_of_tables());
  EXPECT_FALSE(b.find("y")->is_list_of_tables());
  EXPECT_TRUE(root.table[2].list[1].find("a")->is(Kind::other));
  EXPECT_EQ(root.table[2].list[1].find("a")->type_name, "a date or time");
}

TEST(Toml, WhatIsNoneSaysWhere) {
  EXPECT_THAT(message([] { static_cast<void>(parse_toml("a = 1\nb = ", "a.toml")); }),
              testing::StartsWith("a.toml:2:5: "));
  EXPECT_THAT(message([] { static_cast<void>(parse_toml("a = \u00e9", "a.toml")); }),
              testing::StartsWith("a.toml:1:5: "));
}

TEST(Toml, OneValue) {
  EXPECT_EQ(parse_toml_value("[1, 2]", "--set")->list[1].integer, 2);
  EXPECT_FALSE(parse_toml_value("word", "--set"));
  EXPECT_EQ(message([] { static_cast<void>(parse_toml_value("1\nb = 2", "--set")); }), "--set: one value expected");
}

TEST(Nearest, ByEditDistanceOrNone) {
  const std::vector<std::string> known = {"epochs", "batch_size"};
  EXPECT_EQ(nearest("epoch", known), "epochs");
  EXPECT_EQ(nearest("momentum", known), "");
  EXPECT_EQ(did_you_mean("epoch", known), "did you mean \"epochs\"?");
  EXPECT_EQ(did_you_mean("momentum", known), "known are epochs, batch_size");
  EXPECT_EQ(did_you_mean("momentum", known, "none"), "none");
}

}  // namespace
}  // namespace xtasc
