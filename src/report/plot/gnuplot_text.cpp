#include "report/plot/gnuplot_text.hpp"

#include "core/error.hpp"

namespace xtasc::report {

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    result += c == '\'' ? "''" : c == '\n' ? " " : std::string(1, c);
  }
  return result + "'";
}

std::string quoted_lines(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    result += c == '\n' ? "\\n" : c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  }
  return result + "\"";
}

std::string script_head(const std::string& name) {
  return fmt::format("# gnuplot {}.gp writes {}.svg and {}.png; gnuplot 5.2 or newer.\nset encoding utf8\n", name, name,
                     name);
}

std::string pictures_head(const std::string& name, double width, double height) {
  return fmt::format(
             "\ndo for [format in 'svg png'] {{\nreset\nif (format eq 'svg') {{\n  points = 1.0\n  set terminal svg "
             "noenhanced size {:.0f},{:.0f} dynamic font 'sans-serif,13' background '#ffffff'\n}} else {{\n  points = "
             "0.75\n  set terminal pngcairo noenhanced size {:.0f},{:.0f} font 'sans,9.75' fontscale 2 linewidth 2 "
             "pointscale 2 background '#ffffff'\n}}\n",
             width, height, 2 * width, 2 * height) +
         fmt::format("set output {} . format\n", quoted(name + "."));
}

std::string title_labels(const std::string& title, const std::string& subtitle, double height) {
  return fmt::format("set label 1 {} at screen 0.5,{:.5f} center font sprintf(',%g', 17 * points)\n", quoted(title),
                     (height - 22.0) / height) +
         fmt::format(
             "set label 3 {} at screen 0.5,{:.5f} center font sprintf(',%g', 12 * points) textcolor rgb '#444444'\n",
             quoted(subtitle), (height - 47.0) / height);
}

}  // namespace xtasc::report
