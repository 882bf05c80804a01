#include "results/table_markdown.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>

#include "core/error.hpp"
#include "results/delta_m.hpp"

namespace xtasc::results {

namespace {

constexpr const char* kAbsent = "-";

/// A choice that is told once above the table when all rows share it, else in a column of its own.
struct Choice {
  const char* header;
  std::function<std::string(const RunSummary&)> cell;     ///< empty where the choice means nothing to the run
  std::function<std::string(const std::string&)> phrase;  ///< the value in the line above the table
};

const std::vector<Choice>& choices() {
  static const auto count = [](std::string word) {
    return [word = std::move(word)](const std::string& value) { return value + word + (value == "1" ? "" : "s"); };
  };
  static const auto before = [](std::string word) {
    return [word = std::move(word)](const std::string& value) { return word + value; };
  };
  static const auto lambda = [](const RunSummary& run, double value) {
    return config::has_transfer(run.config.model.system) ? fmt::format("{}", value) : std::string();
  };
  static const std::vector<Choice> list = {
      {"Epochs", [](const RunSummary& run) { return fmt::format("{}", run.last.epoch); }, count(" epoch")},
      {"Batch", [](const RunSummary& run) { return fmt::format("{}", run.config.train.batch_size); }, before("batch ")},
      {"Precision", [](const RunSummary& run) { return std::string(config::name(run.config.run.precision)); },
       before("")},
      {"Ranks", [](const RunSummary& run) { return fmt::format("{}", run.provenance.world_size); }, count(" rank")},
      {"Width", [](const RunSummary& run) { return fmt::format("{}", run.config.model.decoder_width); },
       before("decoder width ")},
      {"lambda_1", [](const RunSummary& run) { return lambda(run, run.config.loss.lambda_1); }, before("lambda_1 ")},
      {"lambda_2", [](const RunSummary& run) { return lambda(run, run.config.loss.lambda_2); }, before("lambda_2 ")},
      {"Seed", [](const RunSummary& run) { return fmt::format("{}", run.config.run.seed); }, before("seed ")}};
  return list;
}

std::set<std::string> values_of(const Choice& choice, const Table& table) {
  std::set<std::string> values;
  for (const Row& row : table.rows) {
    for (const RunSummary* run : row.runs) {
      values.insert(choice.cell(*run));
    }
  }
  values.erase("");
  return values;
}

std::string cell(const std::optional<double>& value, fmt::string_view format, double factor = 1.0) {
  return value ? fmt::format(fmt::runtime(format), *value * factor) : kAbsent;
}

/// With its sign, and without one where it is nothing: never "-0.00".
std::string delta_m_text(const Row& row) {
  const std::string text = cell(row.delta_m, "{:+.2f}");
  return text == "+0.00" || text == "-0.00" ? "0.00" : text;
}

std::string heading(const Table& table) {
  const RunSummary& run = *table.rows.front().runs.front();
  const Provenance& from = run.provenance;
  std::string text = from.pack_dataset.empty() ? "unnamed pack" : from.pack_dataset;
  if (from.pack_height > 0) {
    text += fmt::format(", {} x {}", from.pack_height, from.pack_width);
  }
  if (from.pack_num_classes > 0) {
    text += fmt::format(", {} classes", from.pack_num_classes);
  }
  return text + fmt::format(": `{}` protocol, {} checkpoint", name(table.protocol), name(table.checkpoint));
}

std::string caption(const Table& table) {
  std::string text = table.protocol == Protocol::paper
                         ? "mIoU and PixAcc by image, then averaged over images."
                         : "mIoU, PixAcc and errors over all pixels of the validation set.";
  std::string shared;
  for (const Choice& choice : choices()) {
    if (const auto values = values_of(choice, table); values.size() == 1) {
      shared += (shared.empty() ? "" : ", ") + choice.phrase(*values.begin());
    }
  }
  text += shared.empty() ? "" : " Settings: " + shared + ".";
  const std::string& digest = table.rows.front().runs.front()->provenance.pack_digest;
  return text + (digest.empty() ? "" : fmt::format(" Pack {}.", digest.substr(0, 12)));
}

std::string abs_err_header(const Table& table) {
  const std::string& kind = table.rows.front().runs.front()->provenance.pack_depth_kind;
  return kind == "metres" ? "AbsErr (m)" : kind == "inverse_depth" ? "AbsErr (inverse depth)" : "AbsErr";
}

std::vector<std::vector<std::string>> table_cells(const Table& table) {
  std::vector<const Choice*> own_columns;
  for (const Choice& choice : choices()) {
    if (values_of(choice, table).size() > 1) {
      own_columns.push_back(&choice);
    }
  }
  std::vector<std::vector<std::string>> cells = {{"Model", "Encoder", "Weighting"}};
  for (const Choice* choice : own_columns) {
    cells[0].emplace_back(choice->header);
  }
  for (std::string header : {std::string("#P (1e7)"), std::string("mIoU (%)"), std::string("PixAcc (%)"),
                             abs_err_header(table), std::string("RelErr (ratio)"), std::string("Delta_m (%)")}) {
    cells[0].push_back(std::move(header));
  }
  for (const Row& row : table.rows) {
    std::vector<std::string> line = {row.model, row.encoder, row.weighting};
    for (const Choice* choice : own_columns) {
      line.push_back(joined(row, choice->cell));
    }
    const Scores shown = scores(row.metrics);
    const double params = static_cast<double>(row.num_parameters) / 1e7;
    line.push_back(params < 0.1 ? fmt::format("{:.2g}", params) : fmt::format("{:.2f}", params));
    line.push_back(cell(shown.miou, "{:.2f}", 100.0));
    line.push_back(cell(shown.pix_acc, "{:.2f}", 100.0));
    line.push_back(cell(shown.abs_err, "{:.4f}"));
    line.push_back(cell(shown.rel_err, "{:#.4g}"));
    line.push_back(delta_m_text(row) + (row.footnote ? fmt::format(" [{}]", *row.footnote + 1) : ""));
    cells.push_back(std::move(line));
  }
  return cells;
}

/// A Markdown cell on one line, whatever a name holds.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    result += c == '|' ? "\\|" : c == '\n' || c == '\r' ? " " : std::string(1, c);
  }
  return result;
}

}  // namespace

std::string markdown_table(const std::vector<std::vector<std::string>>& cells, std::size_t num_text_columns) {
  std::vector<std::size_t> widths;
  std::vector<std::vector<std::string>> escaped_cells;
  for (const auto& row : cells) {
    widths.resize(std::max(widths.size(), row.size()), 3);
    escaped_cells.emplace_back();
    for (std::size_t column = 0; column < row.size(); ++column) {
      escaped_cells.back().push_back(escaped(row[column]));
      widths[column] = std::max(widths[column], escaped_cells.back().back().size());
    }
  }
  std::string text;
  for (std::size_t i = 0; i < escaped_cells.size(); ++i) {
    for (std::size_t column = 0; column < widths.size(); ++column) {
      const bool is_text = column < num_text_columns;
      text += is_text ? fmt::format("| {:<{}} ", escaped_cells[i][column], widths[column])
                      : fmt::format("| {:>{}} ", escaped_cells[i][column], widths[column]);
    }
    text += "|\n";
    for (std::size_t column = 0; i == 0 && column < widths.size(); ++column) {
      const std::string dashes(widths[column] - 1, '-');
      text += column < num_text_columns ? "| :" + dashes + " " : "| " + dashes + ": ";
    }
    text += i == 0 ? "|\n" : "";
  }
  return text;
}

std::string to_markdown(std::string_view title, std::span<const Table> tables, std::span<const LeftOutRun> left_out) {
  std::string text = fmt::format("# {}\n", title);
  for (const Table& table : tables) {
    text += fmt::format("\n## {}\n\n{}\n\n{}", heading(table), caption(table), markdown_table(table_cells(table), 3));
    for (std::size_t i = 0; i < table.footnotes.size(); ++i) {
      text += fmt::format("{}- [{}] {}.\n", i == 0 ? "\n" : "", i + 1, table.footnotes[i]);
    }
  }
  if (!left_out.empty()) {
    text += "\n## Left out\n\n";
    for (const LeftOutRun& run : left_out) {
      text += fmt::format("- {}: {}\n", run.folder.string(), run.reason);
    }
  }
  return text;
}

}  // namespace xtasc::results
