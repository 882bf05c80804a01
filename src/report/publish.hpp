#pragma once

#include <span>
#include <string>
#include <vector>

#include "report/sheet.hpp"

namespace xtasc::report {

/// Tables in all formats that there are.
struct RenderedTables {
  std::string markdown, csv, latex;
};

[[nodiscard]] RenderedTables rendered(std::string_view title, std::span<const Sheet> sheets,
                                      std::span<const run::LeftOutRun> left_out);

/// Prints one format ("markdown", "csv" or "latex") to standard output, and writes PREFIX.md, PREFIX.csv and PREFIX.tex
/// where a prefix is given. The runs left out stand in the Markdown; with another format on standard output, a warning
/// line each on standard error.
void publish(const RenderedTables& tables, const std::string& format, const std::string& prefix,
             std::span<const run::LeftOutRun> left_out);

/// To standard output. \throws Error with the system's reason
void print(const std::string& text);

/// Makes the folder that PREFIX lies in. \throws Error with the folder and the system's reason
void make_folder_of(const std::string& prefix);

}  // namespace xtasc::report
