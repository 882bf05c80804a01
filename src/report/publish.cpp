#include "report/publish.hpp"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "core/error.hpp"
#include "core/log.hpp"
#include "io/atomic_file.hpp"

namespace xtasc::report {

RenderedTables rendered(std::string_view title, std::span<const Sheet> sheets,
                        std::span<const run::LeftOutRun> left_out) {
  return {.markdown = to_markdown(title, sheets, left_out), .csv = to_csv(sheets), .latex = to_latex(sheets)};
}

void publish(const RenderedTables& tables, const std::string& format, const std::string& prefix,
             std::span<const run::LeftOutRun> left_out) {
  if (!prefix.empty()) {
    make_folder_of(prefix);
    io::write_file_atomically(prefix + ".md", std::string_view(tables.markdown));
    io::write_file_atomically(prefix + ".csv", std::string_view(tables.csv));
    io::write_file_atomically(prefix + ".tex", std::string_view(tables.latex));
  }
  if (format != "markdown") {
    for (const run::LeftOutRun& run : left_out) {
      log_warning("left out: {}: {}", run.folder.string(), run.reason);
    }
  }
  print(format == "csv" ? tables.csv : format == "latex" ? tables.latex : tables.markdown);
}

void print(const std::string& text) {
  const bool is_printed = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  check(is_printed, "cannot write to standard output: {}", errno_text(errno));
}

void make_folder_of(const std::string& prefix) {
  const std::filesystem::path folder = std::filesystem::path(prefix).parent_path();
  std::error_code error;
  if (!folder.empty()) {
    std::filesystem::create_directories(folder, error);
    if (error) {
      fail_usage("cannot make the folder {} for --output: {}", folder.string(), error.message());
    }
  }
}

}  // namespace xtasc::report
