#include <csignal>
#include <string_view>

#include "core/command.hpp"
#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "report/plot/matrix.hpp"
#include "report/plot/plot.hpp"

namespace fs = std::filesystem;

namespace xtasc::report {

namespace {

/// The line that tells most of gnuplot's message: its last one that is not blank.
std::string last_line(std::string_view words) {
  while (!words.empty() && (words.back() == '\n' || words.back() == ' ')) {
    words.remove_suffix(1);
  }
  return std::string(words.substr(words.rfind('\n') + 1));
}

/// \param text  the script, which writes pictures of the prefix's name
void draw_script(const std::string& text, const fs::path& prefix) {
  const fs::path folder = prefix.has_parent_path() ? prefix.parent_path() : fs::path(".");
  const std::string name = prefix.filename().string();
  const fs::path script = prefix.string() + ".gp";
  check(!name.empty(), "--output {}: a name is needed after the folder", prefix.string());
  io::write_file_atomically(script, std::string_view(text));
  const CommandResult done = run_command(
      {"gnuplot", name + ".gp"},
      {.folder = folder,
       .signal_when_orphaned = SIGTERM,
       .is_merged = true,
       .if_missing = fmt::format("gnuplot is not installed (Debian package gnuplot-nox); the script {} is ready: run "
                                 "`gnuplot {}.gp` in its folder on a machine that has it",
                                 script.string(), name)});
  check(done.exit_code == 0, "gnuplot could not draw {}: {}", script.string(),
        done.output.empty() ? "it was stopped" : last_line(done.output));
  for (const char* extension : {".svg", ".png"}) {
    std::error_code error;
    const fs::path picture = prefix.string() + extension;
    const auto size = fs::file_size(picture, error);
    check(!error && size > 0, "gnuplot wrote no {}: {}", picture.string(), last_line(done.output));
  }
}

}  // namespace

void draw(const Plot& plot, const fs::path& prefix) {
  draw_script(gnuplot_script(plot, prefix.filename().string()), prefix);
}

void draw(const Matrix& matrix, const fs::path& prefix) {
  draw_script(gnuplot_script(matrix, prefix.filename().string()), prefix);
}

}  // namespace xtasc::report
