#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <sstream>
#include <string>
#include <vector>

namespace xtasc::test {

/// What LaTeX itself would refuse: braces that do not match, an environment that is not closed, a `$` too many, a
/// character that needs an escape, a row of a tabular with another number of cells than it has columns.
/// \returns  one line a fault; empty: none
inline std::vector<std::string> latex_faults(const std::string& text) {
  std::vector<std::string> faults;
  std::vector<std::string> environments;
  std::size_t num_columns = 0;
  std::istringstream stream(text);
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    const auto fault = [&](const std::string& what) {
      faults.push_back(fmt::format("{}: {}: {}", number, what, line));
    };
    if (line.starts_with('%')) {
      continue;
    }
    int depth = 0;
    int cells = 1;
    bool is_math = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
      const char c = line[i];
      if (c == '\\') {
        ++i;  // the next character is escaped, or begins a command
        continue;
      }
      depth += c == '{' ? 1 : c == '}' ? -1 : 0;
      if (depth < 0) {
        fault("a } too many");
      }
      is_math = c == '$' ? !is_math : is_math;
      const bool in_label = line.starts_with("\\label");
      if (c == '#' || c == '%' || c == '~' || static_cast<unsigned char>(c) >= 0x80 ||
          ((c == '_' || c == '^' || c == '<' || c == '>') && !is_math && !in_label)) {
        fault(std::string("the character ") + c);
      }
      cells += c == '&' ? 1 : 0;
    }
    if (depth != 0 || is_math) {
      fault("{ or $ without its partner");
    }
    if (line.starts_with("\\begin{")) {
      environments.push_back(line.substr(7, line.find('}') - 7));
      if (environments.back() == "tabular") {
        const std::size_t begin = line.find("@{}") + 3;
        num_columns = line.rfind("@{}") - begin;
      }
    } else if (line.starts_with("\\end{")) {
      if (environments.empty() || environments.back() != line.substr(5, line.find('}') - 5)) {
        fault("no such environment is open");
        return faults;
      }
      environments.pop_back();
    } else if (!environments.empty() && environments.back() == "tabular" && !line.starts_with("\\toprule") &&
               !line.starts_with("\\midrule") && !line.starts_with("\\bottomrule") && !line.starts_with("\\cmidrule")) {
      for (std::size_t at = line.find("\\multicolumn{"); at != std::string::npos;
           at = line.find("\\multicolumn{", at + 1)) {
        cells += std::stoi(line.substr(at + 13)) - 1;
      }
      if (!line.ends_with(" \\\\") || static_cast<std::size_t>(cells) != num_columns) {
        fault(std::to_string(cells) + " cells in a table of " + std::to_string(num_columns));
      }
    }
  }
  if (!environments.empty()) {
    faults.push_back("not closed: " + environments.back());
  }
  return faults;
}

}  // namespace xtasc::test
