#pragma once

#include <string>
#include <string_view>

namespace xtasc {

/// To be called before toml++ 3.3 parses a text: refuses what is not UTF-8, and what makes the parser itself misbehave,
/// of which nothing has a place in a config. These are texts over 64 KiB and lines over 4 KiB (a dotted key of
/// thousands of parts overflows its stack), and non-ASCII characters outside of comments and one-line strings (its
/// table of white space has undefined behaviour on most of them, "é" for one). \param source  the file's name, or
/// "--set ..." \throws Error (exit code 2)  "SOURCE:LINE:COLUMN: what is wrong"
void check_toml_text(std::string_view text, const std::string& source);

}  // namespace xtasc
