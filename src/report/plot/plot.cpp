#include "report/plot/plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "report/plot/gnuplot_text.hpp"

namespace xtasc::report {

namespace {

/// Okabe and Ito's colours that show well on white, told apart by all common kinds of colour vision:
/// https://jfly.uni-koeln.de/color/
constexpr std::array<const char*, 6> kColours = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"};
constexpr std::array<int, 12> kMarkers = {7, 5, 9, 13, 11, 15, 6, 4, 8, 12, 10, 14};  // filled, then hollow
constexpr int kMaxMarkersOnCurve = 10;
constexpr double kSinglePoint = 1.3;            // the size of a marker without a line
constexpr std::size_t kMostEntriesInCell = 11;  // lines of a legend in a free cell of the grid

// The picture in pixels; PNG has twice as many.
constexpr double kPanelWidth = 400.0;
constexpr double kPanelHeight = 300.0;
constexpr double kLeft = 84.0, kRight = 18.0, kAbove = 38.0, kBelow = 58.0;  // around the axes of a panel
constexpr double kHead = 62.0;                                               // title and subtitle
constexpr double kLegendLine = 24.0;
constexpr double kLegendMark = 44.0;  // a piece of line with its marker
constexpr double kLetter = 7.3;       // mean width of a letter of the legend

bool is_grey(const Series& series) {
  return series.kind == SeriesKind::reference || series.kind == SeriesKind::edge;
}

std::string colour(const Series& series) {
  return series.kind == SeriesKind::published ? "#000000"
         : is_grey(series)                    ? "#777777"
                                              : kColours.at(series.style % kColours.size());
}

std::string line_style(const Series& series) {
  const bool is_dashed = series.kind == SeriesKind::faint || series.kind == SeriesKind::reference;
  return fmt::format("lc rgb '{}' lw {} dt {}", colour(series), series.kind == SeriesKind::faint ? 1.2 : 2,
                     is_dashed                         ? 2
                     : series.style >= kColours.size() ? 4
                                                       : 1);
}

bool is_single_points(const Series& series) {
  return series.kind == SeriesKind::point || series.kind == SeriesKind::hollow;
}

int marker_of(const Series& series) {
  if (is_single_points(series)) {  // each colour with one marker, then with the next one
    const std::size_t shape = (series.style + series.style / kColours.size()) % kColours.size();
    return kMarkers.at(shape + (series.kind == SeriesKind::hollow ? kColours.size() : 0));
  }
  // The third published series differs from the second by its size no more: hollow diamond, then hollow circle.
  return series.kind == SeriesKind::published ? (series.style == 0 ? 12 : 6) : kMarkers.at(series.style);
}

std::string marker_style(const Series& series) {
  return fmt::format("pt {} ps {}", marker_of(series),
                     series.kind == SeriesKind::published ? 1.3
                     : is_single_points(series)           ? kSinglePoint
                                                          : 1.0);
}

/// "#RRGGBB" so that what lies below shows through; gnuplot's alpha is 0 where nothing does.
std::string faded(const std::string& colour) {
  return "#99" + colour.substr(1);
}

/// How the series is drawn from datablocks NAME and NAME_sd, and how the legend shows it.
std::vector<std::string> plot_elements(const Series& series, const std::string& data) {
  const bool has_spread =
      std::ranges::any_of(series.points, [](const PlotPoint& point) { return point.deviation.has_value(); });
  const std::string line = line_style(series);
  const std::string marker = marker_style(series);
  const auto element = [](const std::string& from, const std::string& columns, const std::string& how) {
    return fmt::format("{} using {} with {} notitle", from, columns, how);
  };
  std::vector<std::string> elements;
  switch (series.kind) {
    case SeriesKind::curve: {
      const auto interval = std::max<std::size_t>(1, series.points.size() / kMaxMarkersOnCurve);
      if (has_spread) {
        elements.push_back(
            element(data + "_sd", "1:($2-$3):($2+$3)",
                    fmt::format("filledcurves fc rgb '{}' fs transparent solid 0.18 noborder", colour(series))));
      }
      elements.push_back(element(data, "1:2", fmt::format("linespoints {} {} pi {}", line, marker, interval)));
      break;
    }
    case SeriesKind::faint:
    case SeriesKind::reference:
    case SeriesKind::edge:
      elements.push_back(element(data, "1:2", "lines " + line));
      break;
    case SeriesKind::measured:
      if (has_spread) {
        elements.push_back(
            element(data + "_sd", "1:2:3", fmt::format("yerrorbars lc rgb '{}' lw 1.5 pt -1", colour(series))));
      }
      elements.push_back(element(data, "1:2", fmt::format("linespoints {} {}", line, marker)));
      break;
    case SeriesKind::published:
      elements.push_back(element(data, "1:2", fmt::format("points lc rgb '{}' lw 2 {}", colour(series), marker)));
      break;
    case SeriesKind::point:
    case SeriesKind::hollow:
      if (has_spread) {
        elements.push_back(
            element(data + "_sd", "1:2:4:3", fmt::format("xyerrorbars lc rgb '{}' lw 1 pt -1", faded(colour(series)))));
      }
      if (series.kind == SeriesKind::hollow) {  // no bar or line shows through
        const Series filled{.name = "", .kind = SeriesKind::point, .style = series.style, .points = {}};
        elements.push_back(
            element(data, "1:2", fmt::format("points lc rgb '#FFFFFF' pt {} ps {}", marker_of(filled), kSinglePoint)));
      }
      elements.push_back(element(data, "1:2", fmt::format("points lc rgb '{}' lw 1.6 {}", colour(series), marker)));
      break;
  }
  return elements;
}

std::string data_name(std::size_t panel, std::size_t series) {
  return fmt::format("$panel{}_{}", panel + 1, series + 1);
}

std::string data_blocks(const Plot& plot) {
  std::string text;
  for (std::size_t i = 0; i < plot.panels.size(); ++i) {
    for (std::size_t j = 0; j < plot.panels[i].series.size(); ++j) {
      const Series& series = plot.panels[i].series[j];
      std::string all;
      std::string with_spread;
      for (const PlotPoint& point : series.points) {
        all += fmt::format("{} {}\n", point.x, point.y);
        if (point.deviation) {
          with_spread += fmt::format("{} {} {}", point.x, point.y, *point.deviation);
          with_spread += point.x_deviation ? fmt::format(" {}\n", *point.x_deviation) : "\n";
        }
      }
      const std::string name = data_name(i, j);
      text += fmt::format("# {}: {}\n{} << EOD\n{}EOD\n", plot.panels[i].y_label, series.name, name, all);
      text += with_spread.empty() ? "" : fmt::format("{}_sd << EOD\n{}EOD\n", name, with_spread);
    }
  }
  return text;
}

/// Each name once, in the order in which it first comes.
std::vector<const Series*> legend_of(const Plot& plot) {
  std::vector<const Series*> legend;
  std::set<std::string> seen = {""};
  for (const Panel& panel : plot.panels) {
    for (const Series& series : panel.series) {
      if (seen.insert(series.name).second) {
        legend.push_back(&series);
      }
    }
  }
  return legend;
}

/// Letters of a UTF-8 text.
std::size_t num_letters(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// Where things lie on the canvas, in pixels from the lower left corner.
struct Layout {
  double width = 0.0, height = 0.0;
  double legend_left = 0.0, legend_top = 0.0;
  double entry_width = kLegendMark;  ///< of the longest legend entry
  std::size_t entries_per_line = 1;

  /// The legend goes into the grid's free cell, one entry a line, or below the panels.
  Layout(const Plot& plot, const std::vector<const Series*>& legend) {
    const std::size_t columns = plot.num_columns;
    const auto num_rows = static_cast<double>((plot.panels.size() + columns - 1) / columns);
    for (const Series* series : legend) {
      entry_width =
          std::max(entry_width, kLegendMark + 24.0 + kLetter * static_cast<double>(num_letters(series->name)));
    }
    width = kPanelWidth * static_cast<double>(columns);
    height = kHead + kPanelHeight * num_rows;
    if (plot.panels.size() % columns != 0 && legend.size() <= kMostEntriesInCell) {
      legend_left = width - std::max(kPanelWidth - kLeft, entry_width);
      legend_top = kPanelHeight - kAbove;
      return;
    }
    entries_per_line = std::clamp<std::size_t>(static_cast<std::size_t>((width - 20.0) / entry_width), 1,
                                               std::max<std::size_t>(1, legend.size()));
    const auto num_lines = static_cast<double>((legend.size() + entries_per_line - 1) / entries_per_line);
    legend_left = (width - entry_width * static_cast<double>(entries_per_line)) / 2.0;
    legend_top = kLegendLine * num_lines;
    height += legend_top + 10.0;
  }

  [[nodiscard]] std::string margins(double left, double right, double bottom, double top) const {
    return fmt::format(
        "set lmargin at screen {:.5f}; set rmargin at screen {:.5f}; set bmargin at screen {:.5f}; set tmargin at "
        "screen {:.5f}\n",
        left / width, right / width, bottom / height, top / height);
  }
};

std::string panel_commands(const Panel& panel, std::size_t index, const Plot& plot, const Layout& layout) {
  const auto column = static_cast<double>(index % plot.num_columns);
  const auto row = static_cast<double>(index / plot.num_columns);
  const double left = kPanelWidth * column;
  const double top = layout.height - kHead - kPanelHeight * row;
  std::string text = fmt::format("\n# ---- {}\n", panel.y_label);
  text += layout.margins(left + kLeft, left + kPanelWidth - kRight, top - kPanelHeight + kBelow, top - kAbove);
  const bool has_two_lines =
      std::ranges::any_of(panel.x_tics, [](const Tic& tic) { return tic.text.find('\n') != std::string::npos; });
  text +=
      fmt::format("set label 5 {} at graph 0.5, screen {:.5f} center\nset label 2 {} at graph 0,1 offset -4,1.1 left\n",
                  quoted(panel.x_label), (top - kPanelHeight + (has_two_lines ? 10.0 : 24.0)) / layout.height,
                  quoted(panel.y_label));
  text += panel.has_log_x ? "set logscale x\n" : "unset logscale x\n";
  const auto bound = [](const std::optional<double>& value) { return value ? fmt::format("{}", *value) : "*"; };
  text += fmt::format("set xrange [{}:{}]\n", bound(panel.x_min), bound(panel.x_max));
  std::string tics;
  for (const Tic& tic : panel.x_tics) {
    tics += fmt::format("{}{} {}", tics.empty() ? "" : ", ", quoted_lines(tic.text), tic.at);
  }
  text += tics.empty() ? "set xtics autofreq\n" : fmt::format("set xtics ({})\n", tics);
  std::vector<std::string> elements;
  for (std::size_t i = 0; i < panel.series.size(); ++i) {
    if (!panel.series[i].points.empty()) {
      const auto of_series = plot_elements(panel.series[i], data_name(index, i));
      elements.insert(elements.end(), of_series.begin(), of_series.end());
    }
  }
  if (elements.empty()) {
    return text +
           "set label 4 'not measured' at graph 0.5,0.5 center\nset yrange [0:1]\nplot NaN notitle\nunset label "
           "2\nset yrange [*:*]\n";
  }
  return text + fmt::format("plot {}\nunset label 1\n", fmt::join(elements, ", \\\n     "));
}

/// Where a legend entry begins, and the height of its middle.
std::pair<double, double> legend_place(std::size_t index, const Layout& layout) {
  return {layout.legend_left + layout.entry_width * static_cast<double>(index % layout.entries_per_line),
          layout.legend_top - kLegendLine * (static_cast<double>(index / layout.entries_per_line) + 0.5)};
}

/// Left end, middle and right end of each entry's mark, in pixels.
std::string legend_blocks(const std::vector<const Series*>& legend, const Layout& layout) {
  std::string text;
  for (std::size_t i = 0; i < legend.size(); ++i) {
    const auto [left, y] = legend_place(i, layout);
    text += fmt::format("$legend_{} << EOD\n{:.1f} {:.1f}\n{:.1f} {:.1f}\n{:.1f} {:.1f}\nEOD\n", i + 1, left, y,
                        left + kLegendMark / 2.0, y, left + kLegendMark, y);
  }
  return text;
}

/// Drawn by hand: gnuplot's own key guesses the width of texts, and each terminal otherwise.
std::string legend_commands(const std::vector<const Series*>& legend, const Layout& layout) {
  std::string labels;
  std::vector<std::string> elements;
  for (std::size_t i = 0; i < legend.size(); ++i) {
    const Series& series = *legend[i];
    const auto [left, y] = legend_place(i, layout);
    labels += fmt::format("set label {} {} at {:.1f},{:.1f} left\n", i + 10, quoted(series.name),
                          left + kLegendMark + 8.0, y);
    if (series.kind != SeriesKind::published && !is_single_points(series)) {
      elements.push_back(fmt::format("$legend_{} with lines {} notitle", i + 1, line_style(series)));
    }
    if (!is_grey(series) && series.kind != SeriesKind::faint) {
      elements.push_back(fmt::format("$legend_{} every ::1::1 with points lc rgb '{}' lw 2 {} notitle", i + 1,
                                     colour(series), marker_style(series)));
    }
  }
  if (elements.empty()) {
    return "";
  }
  return fmt::format(
      "\n# ---- legend\n{}unset label 2; unset label 5; unset border; unset tics; unset grid; unset logscale x; unset "
      "offsets\nset xrange [0:{:.0f}]; set yrange [0:{:.0f}]\n{}plot {}\n",
      layout.margins(0.0, layout.width, 0.0, layout.height), layout.width, layout.height, labels,
      fmt::join(elements, ", \\\n     "));
}

}  // namespace

std::string gnuplot_script(const Plot& plot, const std::string& name) {
  const std::vector<const Series*> legend = legend_of(plot);
  const Layout layout(plot, legend);
  std::string text = script_head(name) + data_blocks(plot) + legend_blocks(legend, layout);
  text += pictures_head(name, layout.width, layout.height);
  text += "set multiplot\nunset key\n";
  text += "set border 3 lc rgb '#444444'\nset tics nomirror textcolor rgb '#222222'\nset grid lc rgb '#dddddd' lt 1\n";
  text += "set xtics offset 0,0.2\nset errorbars 0.7\nset offsets 0, 0, graph 0.06, graph 0.06\n";
  text += title_labels(plot.title, plot.subtitle, layout.height);
  for (std::size_t i = 0; i < plot.panels.size(); ++i) {
    text += panel_commands(plot.panels[i], i, plot, layout);
    text += i == 0 ? "unset label 1; unset label 3\n" : "";
  }
  return text + legend_commands(legend, layout) + "unset multiplot\n" + std::string(kPicturesEnd);
}

}  // namespace xtasc::report
