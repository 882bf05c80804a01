#pragma once

#include <string>
#include <string_view>

// What every gnuplot script has: quoted texts, the loop over both pictures, title and subtitle.
namespace xtasc::report {

/// In single quotes, in which gnuplot substitutes nothing; line breaks become spaces.
[[nodiscard]] std::string quoted(const std::string& text);
/// As quoted, and keeps the line breaks.
[[nodiscard]] std::string quoted_lines(const std::string& text);

/// What the script does, and its encoding. \param name  of the files, without extension
[[nodiscard]] std::string script_head(const std::string& name);

/// Begins the loop over the two pictures: terminal and output of each. \param width, height  of the SVG in pixels; the
/// PNG has twice as many. A `points` by which font sizes are multiplied is set.
[[nodiscard]] std::string pictures_head(const std::string& name, double width, double height);
/// Ends it.
inline constexpr std::string_view kPicturesEnd = "unset output\n}\n";

/// Labels 1 and 3, at the top of the picture. \param height  as of pictures_head
[[nodiscard]] std::string title_labels(const std::string& title, const std::string& subtitle, double height);

}  // namespace xtasc::report
