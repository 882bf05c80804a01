#include "report/plot/figures.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "report/axis_groups.hpp"
#include "report/plot/figure_lines.hpp"
#include "report/series_names.hpp"
#include "report/table_markdown.hpp"

namespace xtasc::report {

namespace {

/// The published table of a number, where the groups' data set and size are the paper's: elsewhere its figures would
/// only squeeze the axes.
const PublishedTable* published_for(std::span<const SeedGroup> groups, const std::vector<PublishedTable>& published,
                                    PaperLayout layout) {
  const run::Provenance& from = groups.front().first().provenance;
  for (const PublishedTable& table : published) {
    if (table.layout == layout && table.data->dataset == from.pack_dataset &&
        table.data->num_classes == from.pack_num_classes && table.data->height == from.pack_height &&
        table.data->width == from.pack_width) {
      return &table;
    }
  }
  return nullptr;
}

/// Positive values on a logarithmic axis, with a place for 0 left of them.
struct LambdaAxis {
  double zero = 0.0;  ///< where 0 stands
  double least = 0.0, most = 0.0;
  std::set<double> values;

  [[nodiscard]] double place(double lambda) const { return lambda > 0.0 ? lambda : zero; }

  [[nodiscard]] Panel panel() const {
    Panel axis{.x_label = "\u03bb (logarithmic, but for 0)",
               .y_label = "",
               .has_log_x = true,
               .x_min = {},
               .x_max = {},
               .series = {}};
    axis.x_min = (values.contains(0.0) ? zero : least) / 2.2;
    axis.x_max = most * 1.6;
    double previous = 0.0;
    for (const double value : values) {
      const double at = place(value);
      const bool has_room = previous == 0.0 || at / previous > std::pow(*axis.x_max / *axis.x_min, 1.0 / 9.0);
      axis.x_tics.push_back({.at = at, .text = has_room ? fmt::format("{}", value) : ""});
      previous = has_room ? at : previous;
    }
    return axis;
  }
};

LambdaAxis lambda_axis(std::span<const SeedGroup> groups) {
  LambdaAxis axis;
  for (const SeedGroup& group : groups) {
    const config::LossSection& loss = group.first().config.loss;
    if (!group.is_baseline() && !group.is_lone_part) {
      axis.values.insert(std::max(loss.lambda_1, loss.lambda_2));
    }
  }
  const auto positive = axis.values.upper_bound(0.0);
  check(positive != axis.values.end(), "no finished run has a lambda above 0: nothing to draw over lambda");
  axis.least = *positive;
  axis.most = *axis.values.rbegin();
  axis.zero = std::pow(10.0, std::floor(std::log10(axis.least)) - 1.0);
  return axis;
}

/// \returns  empty where both are above 0 and differ, or a third task's is not the second's
std::string kind_of(const config::LossSection& loss) {
  return loss.lambda_of(2) != loss.lambda_2 ? ""
         : loss.lambda_1 == loss.lambda_2   ? "\u03bb\u2081 = \u03bb\u2082"
         : loss.lambda_2 == 0.0             ? "\u03bb\u2081 alone"
         : loss.lambda_1 == 0.0             ? "\u03bb\u2082 alone"
                                            : "";
}

std::vector<Line> lambda_lines(std::span<const SeedGroup> groups, const LambdaAxis& axis) {
  const std::vector<std::string> names = series_names(groups, {"loss.lambda_1", "loss.lambda_2", "loss.lambda_3"});
  std::vector<Line> lines;
  std::int64_t num_left_out = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const config::LossSection& loss = groups[i].first().config.loss;
    const std::string kind = kind_of(loss);
    if (groups[i].is_lone_part || kind.empty()) {
      ++num_left_out;
      continue;
    }
    const bool has_transfer = config::system_of(groups[i].first().config.model).has_transfer();
    Line& line = line_named(lines, has_transfer ? fmt::format("{}, {}", names[i], kind) : names[i]);
    line.kind = groups[i].is_baseline() ? SeriesKind::reference : SeriesKind::measured;
    line.groups.push_back({&groups[i], axis.place(std::max(loss.lambda_1, loss.lambda_2))});
  }
  // A net with both at 0 is the start of each of its series.
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const config::LossSection& loss = groups[i].first().config.loss;
    if (loss.lambda_1 == 0.0 && loss.lambda_2 == 0.0 &&
        config::system_of(groups[i].first().config.model).has_transfer()) {
      for (const char* kind : {"\u03bb\u2081 alone", "\u03bb\u2082 alone"}) {
        const auto found = std::ranges::find(lines, fmt::format("{}, {}", names[i], kind), &Line::name);
        if (found != lines.end()) {
          found->groups.push_back({&groups[i], axis.zero});
        }
      }
    }
  }
  if (num_left_out > 0) {
    log_warning("in no series: {} of {} nets (a part of a row without the others, or lambdas above 0 that differ)",
                num_left_out, groups.size());
  }
  give_styles(lines);
  const double range = axis.most / (axis.values.contains(0.0) ? axis.zero : axis.least);
  spread_lines(lines, [range](double x, double offset) { return x * std::pow(10.0 * range, 0.03 * offset); });
  return lines;
}

std::string parameters_text(std::span<const SeedGroup> groups, config::Encoder encoder) {
  for (const SeedGroup& group : groups) {
    if (group.first().config.model.encoder == encoder && config::system_of(group.first().config.model).has_transfer()) {
      return fmt::format("\n{}", parameters_cell(group.num_parameters).text);
    }
  }
  return "";
}

}  // namespace

Plot lambda_plot(std::span<const SeedGroup> all, const std::vector<PublishedTable>& published, Protocol protocol,
                 Checkpoint checkpoint) {
  check(!all.empty(), "no finished run to draw");
  const std::vector<SeedGroup> groups = along_lambda(all);
  LambdaAxis axis = lambda_axis(groups);
  const std::vector<Line> lines = lambda_lines(groups, axis);
  std::vector<PublishedPoint> points;
  if (const PublishedTable* table = published_for(groups, published, PaperLayout::models)) {
    for (const PublishedRow& row : table->rows) {
      if (row.model == "XTasC-Net" || row.model == "Base MT-Net") {
        const bool is_xtasc = row.model == "XTasC-Net";
        const std::string_view lambda = table->data->assignments[0];
        const double value = is_xtasc ? std::stod(std::string(lambda.substr(lambda.find('=') + 1))) : 0.0;
        axis.values.insert(value);
        axis.most = std::max(axis.most, value);
        axis.least = value > 0.0 ? std::min(axis.least, value) : axis.least;
        points.push_back({&row, axis.place(value), fmt::format("{}, published (Table {})", row.model, table->number),
                          is_xtasc ? 0UL : 1UL});
      }
    }
  }
  return plot_of("Metrics over \u03bb", panels_of(axis.panel(), lines, points, groups), groups, protocol, checkpoint);
}

Plot encoders_plot(std::span<const SeedGroup> all, const std::vector<PublishedTable>& published, Protocol protocol,
                   Checkpoint checkpoint) {
  check(!all.empty(), "no finished run to draw");
  const std::vector<SeedGroup> groups = along_encoders(all);
  const std::vector<std::string> names = series_names(groups, {"model.encoder"});
  std::vector<Line> lines;
  std::set<config::Encoder> encoders;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (!groups[i].is_lone_part && config::encoder_of(groups[i].first().config.model) != "-") {
      const config::Encoder encoder = groups[i].first().config.model.encoder;
      encoders.insert(encoder);
      line_named(lines, names[i]).groups.push_back({&groups[i], static_cast<double>(encoder)});
    }
  }
  give_styles(lines);
  spread_lines(lines, [](double x, double offset) { return x + 0.24 * offset; });
  std::vector<PublishedPoint> points;
  if (const PublishedTable* table = published_for(groups, published, PaperLayout::encoders)) {
    for (const PublishedRow& row : table->rows) {
      const auto words = config::names<config::Encoder>();
      const auto encoder = static_cast<config::Encoder>(std::ranges::find(words, row.encoder) - words.begin());
      encoders.insert(encoder);
      points.push_back(
          {&row, static_cast<double>(encoder) + 0.18,
           fmt::format("XTasC-Net{}, published (Table {})", row.is_pretrained ? ", pretrained" : "", table->number),
           row.is_pretrained ? 1UL : 0UL});
    }
  }
  Panel axis{.x_label = "ResNet; below, parameters of the whole net (10\u2077)",
             .y_label = "",
             .x_min = static_cast<double>(*encoders.begin()) - 0.4,
             .x_max = static_cast<double>(*encoders.rbegin()) + 0.4,
             .series = {}};
  for (const config::Encoder encoder : encoders) {
    axis.x_tics.push_back({.at = static_cast<double>(encoder),
                           .text = std::string(config::name(encoder).substr(6)) + parameters_text(groups, encoder)});
  }
  return plot_of("Metrics over the encoder's size", panels_of(axis, lines, points, groups), groups, protocol,
                 checkpoint);
}

}  // namespace xtasc::report
