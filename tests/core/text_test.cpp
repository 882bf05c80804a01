#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "core/cli.hpp"
#include "core/user_path.hpp"
#include "core/utc_time.hpp"
#include "core/utf8.hpp"
#include "support/temp_folder.hpp"

namespace xtasc {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(Utf8, TellsCharactersFromBytes) {
  for (const char* text :
       {"", "abc", "caf\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xef\xbb\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(first_not_utf8(text), std::nullopt) << text;
    EXPECT_EQ(with_escaped_bytes(text), text);
  }
  // Latin-1, a lone continuation, overlong forms, a surrogate, beyond U+10FFFF, cut off
  for (const char* text : {"a\xe9/", "a\x80", "a\xc0\xaf", "a\xe0\x80\x80", "a\xf0\x80\x80\x80", "a\xed\xa0\x80",
                           "a\xf4\x90\x80\x80", "a\xff", "a\xe2\x82", "a\xc3"}) {
    EXPECT_EQ(first_not_utf8(text), std::optional<std::size_t>(1)) << text;
  }
  EXPECT_EQ(with_escaped_bytes("caf\xe9/\xc3\xa9\xff"), "caf\\xe9/\xc3\xa9\\xff");
}

TEST(Utf8, WhatIsWrongWithATextIsSaid) {
  EXPECT_EQ(encoding_fault("\xef\xbb\xbfname = 1"), std::nullopt);
  EXPECT_EQ(without_byte_order_mark("\xef\xbb\xbfname"), "name");
  EXPECT_EQ(without_byte_order_mark("name"), "name");
  for (const std::string& text :
       {std::string("\xff\xfe"
                    "a\0b\0",
                    6),
        std::string("\xfe\xff\0a\0b", 6), std::string("a\0b\0", 4), std::string("\0a\0b", 4)}) {
    EXPECT_EQ(encoding_fault(text), "it is UTF-16: save it as UTF-8");
  }
  for (const std::string& text : {std::string("\xff\xfe\0\0a\0\0\0", 8), std::string("\0\0\xfe\xff\0\0\0a", 8)}) {
    EXPECT_EQ(encoding_fault(text), "it is UTF-32: save it as UTF-8");
  }
  EXPECT_EQ(encoding_fault("\x1f\x8b\x08"), "it is compressed by gzip: unpack it");
  EXPECT_EQ(encoding_fault("a\r\nb\r\ncaf\xe9 au lait\r\nd"),
            "its line 3 is not UTF-8 (\"caf\\xe9 au lait\"): save it as UTF-8");
  EXPECT_EQ(encoding_fault("a = 1\rb = \"caf\xe9\"\rc = 2\n"),  // a line of old Macs ends no line here
            "its line 1 is not UTF-8 (\"a = 1\rb = \"caf\\xe9\"\"): save it as UTF-8");
  EXPECT_THAT(*encoding_fault(std::string(5000, 'x') + "\xe9" + std::string(5000, 'y')), HasSubstr("xxx\\xe9yyy"));
  EXPECT_LT(encoding_fault(std::string(5000, 'x') + "\xe9" + std::string(5000, 'y'))->size(), 120U);
}

std::string filled(std::string path) {
  const std::string fault = fill_in_home(path);
  return fault.empty() ? path : "fault: " + fault;
}

TEST(UserPath, HomeIsFilledInAndNothingElse) {
  const std::string before = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
  ::setenv("HOME", "/home/anna", 1);
  EXPECT_EQ(filled("~/runs"), "/home/anna/runs");
  EXPECT_EQ(filled("~"), "/home/anna");
  for (const char* path : {"", "a.h5", "/data/a.h5", "./~/a.h5", "a~b", "price$", "5$/a", "a$-b", "$1", "${}", "${a"}) {
    EXPECT_EQ(filled(path), path);
  }
  EXPECT_EQ(filled("~otto/a.h5"),
            "fault: ~otto is not filled in: write the folder out (or \"./~otto/a.h5\", where one is "
            "called so)");
  EXPECT_EQ(filled("$TMPDIR/a.h5"), "fault: $TMPDIR is not filled in: write \"$TMPDIR/a.h5\" out");
  EXPECT_EQ(filled("/scratch/${USER}/a$b"), "fault: ${USER} is not filled in: write \"/scratch/${USER}/a$b\" out");
  EXPECT_THAT(filled("~/$X"), StartsWith("fault: $X"));
  const test::TempFolder folder;  // what is called so is meant
  const std::string there = (folder.path() / "x$y").string();
  std::filesystem::create_directory(there);
  EXPECT_EQ(filled(there + "/runs"), there + "/runs");
  EXPECT_THAT(filled(there + "/$Z"), StartsWith("fault: $Z"));
  ::setenv("HOME", "/home/ren\xe9", 1);
  EXPECT_THAT(filled("~/a"), HasSubstr("is not UTF-8 ('/home/ren\\xe9')"));
  ::unsetenv("HOME");
  EXPECT_EQ(filled("~/a"), "fault: HOME is not set, which \"~/a\" begins with: write it out");
  if (!before.empty()) {
    ::setenv("HOME", before.c_str(), 1);
  }
}

/// The time that SOURCE_DATE_EPOCH gives, or the error.
std::string time_of(const char* epoch) {
  ::setenv("SOURCE_DATE_EPOCH", epoch, 1);
  std::string text;
  try {
    text = utc_now();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    text = error.what();
  }
  ::unsetenv("SOURCE_DATE_EPOCH");
  return text;
}

TEST(UtcNow, HonoursSourceDateEpoch) {
  EXPECT_EQ(time_of("1769862896"), "2026-01-31T12:34:56Z");
  EXPECT_EQ(time_of("0"), "1970-01-01T00:00:00Z");
  EXPECT_EQ(time_of("253402300799"), "9999-12-31T23:59:59Z");
  EXPECT_THAT(time_of(""), StartsWith("20"));
  for (const char* wrong : {"soon", "-1", "1.5", " 1", "1 ", "+1", "253402300800", "99999999999999999999"}) {
    EXPECT_EQ(time_of(wrong),
              fmt::format("SOURCE_DATE_EPOCH is \"{}\", a whole number of seconds since 1970 is needed, "
                          "0 to 253402300799",
                          wrong));
  }
}

TEST(RunProgram, ArgumentsAreTextWithoutWhatAShellWouldFillIn) {
  const auto run = [](std::vector<const char*> arguments) {
    CLI::App app("A test's program.", "program");
    std::string output;
    std::vector<std::string> settings;
    app.add_option("--output", output, "A file");
    app.add_option("--set", settings, "Settings");
    arguments.insert(arguments.begin(), "program");
    testing::internal::CaptureStderr();
    const int code = run_program(app, static_cast<int>(arguments.size()),
                                 const_cast<char**>(arguments.data()),  // NOLINT: as main has it
                                 [] { return ExitCode::success; });
    return std::to_string(code) + " " + testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(run({"--output", "./~/caf\xc3\xa9", "--set", "data.pack=~/a.h5"}), "0 ");
  EXPECT_EQ(
      run({"--output", "caf\xe9/a.h5"}),
      "2 program: error: argument 2, 'caf\\xe9/a.h5', is not UTF-8: rename what it names, or give a link to it\n");
  EXPECT_EQ(run({"--output=~/a.h5"}),
            "2 program: error: --output is '~/a.h5': the shell fills in ~ at the beginning of a word alone, so write "
            "--output ~/a.h5, without quotes (see program --help)\n");
}

}  // namespace
}  // namespace xtasc
