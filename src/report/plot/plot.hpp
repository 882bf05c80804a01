#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace xtasc::report {

/// One measurement.
struct PlotPoint {
  double x = 0.0, y = 0.0;
  std::optional<double> deviation = {};    ///< of y, over seeds
  std::optional<double> x_deviation = {};  ///< of x, of single points
};

/// How a series is drawn; each has a colour and a marker of its own by `Series::style`.
enum class SeriesKind {
  curve,      ///< line with a few markers, the deviation as a band around it
  faint,      ///< thin dashed line, without markers or band
  measured,   ///< line and markers, the deviation as bars
  published,  ///< black hollow markers, no line
  reference,  ///< grey dashed line
  edge,       ///< grey line
  point,      ///< single filled markers, the deviations of x and y as thin bars
  hollow      ///< the same, hollow; the legend shows neither bars nor lines of both
};

struct Series {
  std::string name;  ///< in the legend, each once; empty: not there
  SeriesKind kind = SeriesKind::measured;
  std::size_t style = 0;  ///< 0..kNumStyles - 1; of single points 0..kNumPointStyles - 1
  std::vector<PlotPoint> points;
};

/// So many series can be told apart: six colours (Okabe and Ito 2008, without yellow and black), each with a line of
/// its own and a dashed one, twelve markers.
inline constexpr std::size_t kNumStyles = 12;
/// Of single points, that have no line and are filled or hollow by kind: six colours by six markers.
inline constexpr std::size_t kNumPointStyles = 36;

struct Tic {
  double at = 0.0;
  std::string text;
};

struct Panel {
  std::string x_label, y_label;  ///< with units
  bool has_log_x = false;
  std::vector<Tic> x_tics = {};  ///< empty: gnuplot's own
  std::optional<double> x_min = {}, x_max = {};
  std::vector<Series> series = {};
};

struct Plot {
  std::string title, subtitle;
  std::size_t num_columns = 2;
  std::vector<Panel> panels;  ///< row by row
};

/// A gnuplot script with the data in it, which writes NAME.svg and NAME.png into the folder that it is run in.
[[nodiscard]] std::string gnuplot_script(const Plot& plot, const std::string& name);

/// Writes PREFIX.gp and has gnuplot draw PREFIX.svg and PREFIX.png. No shell is involved.
/// \throws Error when gnuplot is not there or fails, with its own words; the script stays, to be run elsewhere.
void draw(const Plot& plot, const std::filesystem::path& prefix);

}  // namespace xtasc::report
