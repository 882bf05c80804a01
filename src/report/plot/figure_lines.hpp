#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "report/aggregate.hpp"
#include "report/paper/paper_tables.hpp"
#include "report/plot/plot.hpp"

// What the figures of metrics over an axis have in common: lines of groups, a panel a metric.
namespace xtasc::report {

/// Where a group stands in a figure.
struct Placed {
  const SeedGroup* group;
  double x;
};

/// A line of a figure: its name, how it is drawn, and the groups on it.
struct Line {
  std::string name;
  SeriesKind kind = SeriesKind::measured;
  std::size_t style = 0;
  std::vector<Placed> groups;
};

/// A published row and where it stands.
struct PublishedPoint {
  const PublishedRow* row;
  double x;
  std::string name;
  std::size_t style;
};

/// The metrics of the groups' tasks, and Delta_m where a group has one; all over the same axis.
/// \param axis  a panel without series, whose x_min and x_max are set
[[nodiscard]] std::vector<Panel> panels_of(const Panel& axis, const std::vector<Line>& lines,
                                           const std::vector<PublishedPoint>& published,
                                           std::span<const SeedGroup> groups);

/// The line of a name; a new one at the end where there is none.
[[nodiscard]] Line& line_named(std::vector<Line>& lines, const std::string& name);

/// A style a line that is no reference, in their order. \throws Error with more than kNumStyles such lines
void give_styles(std::vector<Line>& lines);

/// Series stand beside each other rather than on top of each other.
/// \param moved  a place, and how far the series is to go: -0.5..0.5
void spread_lines(std::vector<Line>& lines, const std::function<double(double x, double offset)>& moved);

/// The panels under a title; below it what the groups are.
[[nodiscard]] Plot plot_of(std::string title, std::vector<Panel> panels, std::span<const SeedGroup> groups,
                           Protocol protocol, Checkpoint checkpoint, std::string_view spread = "bars");

}  // namespace xtasc::report
