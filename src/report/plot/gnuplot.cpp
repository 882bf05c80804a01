#include <algorithm>
#include <array>
#include <csignal>
#include <string>
#include <string_view>

#include "core/command.hpp"
#include "core/error.hpp"
#include "core/temp_folder.hpp"
#include "io/atomic_file.hpp"
#include "io/file.hpp"
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

/// Whether a picture has its end: gnuplot says nothing of a disk that is full.
bool is_whole(const fs::path& picture) {
  constexpr std::string_view kSvg = "</svg>", kPng = "IEND\xae\x42\x60\x82";
  const std::string bytes = io::read_file(picture);
  return bytes.find(picture.extension() == ".svg" ? kSvg : kPng,
                    bytes.size() - std::min<std::size_t>(bytes.size(), 16)) != std::string::npos;
}

/// Pictures are drawn beside those that they take the place of. \param text  the script, which writes pictures of the
/// prefix's name
void draw_script(const std::string& text, const fs::path& prefix) {
  const fs::path folder = prefix.has_parent_path() ? prefix.parent_path() : fs::path(".");
  const std::string name = prefix.filename().string();
  const fs::path script = prefix.string() + ".gp";
  check(!name.empty(), "--output {}: a name is needed after the folder", prefix.string());
  io::write_file_atomically(script, std::string_view(text));
  const TempFolder drawn(folder, "." + name);
  const CommandResult done = run_command(
      {"gnuplot", fs::absolute(script).string()},
      {.folder = drawn.path(),
       .signal_when_orphaned = SIGTERM,
       .is_merged = true,
       .if_missing = fmt::format("gnuplot is not installed (Debian package gnuplot-nox); the script {} is ready: run "
                                 "`gnuplot {}.gp` in its folder on a machine that has it",
                                 script.string(), name)});
  check(done.exit_code == 0, "gnuplot could not draw {}: {}", script.string(),
        done.output.empty() ? "it was stopped" : last_line(done.output));
  constexpr std::array kExtensions = {".svg", ".png"};
  for (const char* extension : kExtensions) {
    const fs::path picture = drawn.path() / (name + extension);
    const std::string words = last_line(done.output);
    check(fs::exists(picture) && is_whole(picture), "gnuplot wrote no whole {}{}: {}", prefix.string(), extension,
          words.empty() ? "is the disk full?" : words);
  }
  for (const char* extension : kExtensions) {
    std::error_code error;
    fs::rename(drawn.path() / (name + extension), prefix.string() + extension, error);
    check(!error, "cannot write {}{}: {}", prefix.string(), extension, error.message());
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
