#include "report/table_markdown.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>

#include "config/run_config.hpp"
#include "config/systems.hpp"
#include "core/error.hpp"
#include "report/metric_columns.hpp"

namespace xtasc::report {

namespace {

/// A choice that is told once above the table when all rows share it, else in a column of its own.
struct Choice {
  const char* header;
  std::function<std::string(const run::RunSummary&)> cell;  ///< empty where the choice means nothing to the run
  std::function<std::string(const std::string&)> phrase;    ///< the value in the line above the table; may be empty
};

bool has_third(const run::RunSummary& run) {
  return config::system_of(run.config.model).tasks.size() > 2;
}

/// "pairs", "sample 1", "seg>depth + depth>seg".
std::string transfer_text(const run::RunSummary& run) {
  const config::ModelSection& model = run.config.model;
  if (!model.transfer_pairs.empty()) {
    return fmt::format("{}", fmt::join(model.transfer_pairs, " + "));
  }
  return model.transfer == config::TransferScheme::sample
             ? fmt::format("{} {}", config::name(model.transfer), model.transfers_per_task)
             : std::string(config::name(model.transfer));
}

/// "all", "0.5", "one a sample".
std::string labels_text(const run::RunSummary& run) {
  const config::DataSection& data = run.config.data;
  const std::string share = data.label_share == 1.0 ? "" : fmt::format("{}", data.label_share);
  return !data.one_label ? (share.empty() ? "all" : share) : "one a sample" + (share.empty() ? "" : ", of " + share);
}

const std::vector<Choice>& choices() {
  static const auto count = [](std::string word) {
    return [word = std::move(word)](const std::string& value) { return value + word + (value == "1" ? "" : "s"); };
  };
  static const auto before = [](std::string word) {
    return [word = std::move(word)](const std::string& value) { return word + value; };
  };
  static const auto unless_default = [](std::string usual, std::string word) {
    return [usual = std::move(usual), word = std::move(word)](const std::string& value) {
      return value == usual ? std::string() : word + value;
    };
  };
  static const auto lambda = [](const run::RunSummary& run, double value) {
    return config::system_of(run.config.model).has_transfer() ? fmt::format("{}", value) : std::string();
  };
  static const std::vector<Choice> list = {
      {"Epochs", [](const run::RunSummary& run) { return fmt::format("{}", run.last.epoch); }, count(" epoch")},
      {"Batch", [](const run::RunSummary& run) { return fmt::format("{}", run.config.train.batch_size); },
       before("batch ")},
      {"Precision", [](const run::RunSummary& run) { return std::string(config::name(run.config.run.precision)); },
       before("")},
      {"Ranks", [](const run::RunSummary& run) { return run::ranks_text(run.provenance); }, count(" rank")},
      {"Width",
       [](const run::RunSummary& run) {
         const std::int64_t width = config::decoder_width_of(run.config.model);
         return width > 0 ? fmt::format("{}", width) : std::string();
       },
       before("decoder width ")},
      {"lambda_1", [](const run::RunSummary& run) { return lambda(run, run.config.loss.lambda_1); },
       before("lambda_1 ")},
      {"lambda_2", [](const run::RunSummary& run) { return lambda(run, run.config.loss.lambda_2); },
       before("lambda_2 ")},
      {"lambda_3",
       [](const run::RunSummary& run) {
         return has_third(run) ? lambda(run, run.config.loss.lambda_3) : std::string();
       },
       before("lambda_3 ")},
      {"Transfer", [](const run::RunSummary& run) { return lambda(run, 0.0).empty() ? "" : transfer_text(run); },
       unless_default("pairs", "transfer ")},
      {"Labels", labels_text, unless_default("all", "labels kept: ")},
      {"Held out", [](const run::RunSummary& run) { return fmt::format("{}", run.config.data.holdout); },
       unless_default("0", "share held out ")},
      {"Patience", [](const run::RunSummary& run) { return fmt::format("{}", run.config.train.patience); },
       unless_default("0", "patience ")},
      {"Seed", [](const run::RunSummary& run) { return fmt::format("{}", run.config.run.seed); }, before("seed ")}};
  return list;
}

std::set<std::string> values_of(const Choice& choice, const Table& table) {
  std::set<std::string> values;
  for (const Row& row : table.rows) {
    for (const run::RunSummary* run : row.runs) {
      values.insert(choice.cell(*run));
    }
  }
  values.erase("");
  return values;
}

/// With its sign, and without one where it is nothing: never "-0.00".
Cell delta_m_cell(const Row& row) {
  Cell cell;
  if (row.delta_m) {
    cell.value = *row.delta_m;
    cell.text = fmt::format("{:+.2f}", *row.delta_m);
    cell.text = cell.text == "+0.00" || cell.text == "-0.00" ? "0.00" : cell.text;
  }
  if (row.footnote) {
    cell.footnotes.push_back(*row.footnote);
  }
  return cell;
}

std::string caption(const Table& table) {
  std::string text = fmt::format("{} {}", protocol_text(table.protocol, tasks_of(table)),
                                 chosen_text(table.checkpoint, runs_of(table)));
  std::string shared;
  for (const Choice& choice : choices()) {
    if (const auto values = values_of(choice, table); values.size() == 1) {
      const std::string phrase = choice.phrase(*values.begin());
      shared += (shared.empty() || phrase.empty() ? "" : ", ") + phrase;
    }
  }
  text += shared.empty() ? "" : " Settings: " + shared + ".";
  text += " " + sign_text(table.delta_form);
  const std::string baselines = baselines_text(runs_of(table));
  text += baselines.empty() ? "" : " " + baselines;
  const std::string& digest = table.rows.front().runs.front()->provenance.pack_digest;
  return text + (digest.empty() ? "" : fmt::format(" Pack {}.", digest.substr(0, 12)));
}

}  // namespace

std::string data_text(const run::Provenance& from) {
  std::string text = from.pack_dataset.empty() ? "unnamed pack" : from.pack_dataset;
  if (from.pack_height > 0) {
    text += fmt::format(", {} x {}", from.pack_height, from.pack_width);
  }
  if (from.pack_num_classes > 0) {
    text += fmt::format(", {} classes", from.pack_num_classes);
  }
  return text;
}

std::string heading(const run::Provenance& from, Protocol protocol, Checkpoint checkpoint) {
  return data_text(from) + fmt::format(": `{}` protocol, {}", name(protocol), text_of(checkpoint));
}

Cell parameters_cell(std::int64_t num_parameters) {
  const double params = static_cast<double>(num_parameters) / 1e7;
  Cell cell = number_cell(params, 2);
  cell.text = params < 0.1 ? fmt::format("{:.2g}", params) : cell.text;
  return cell;
}

Sheet to_sheet(const Table& table) {
  const run::Provenance& from = table.rows.front().runs.front()->provenance;
  Sheet sheet{.label = from.pack_dataset,
              .title = heading(from, table.protocol, table.checkpoint),
              .caption = caption(table),
              .columns = {{.key = "model", .header = "Model", .is_text = true},
                          {.key = "encoder", .header = "Encoder", .is_text = true},
                          {.key = "weighting", .header = "Weighting", .is_text = true}},
              .rows = {},
              .footnotes = table.footnotes};
  std::vector<const Choice*> own_columns;
  for (const Choice& choice : choices()) {
    if (values_of(choice, table).size() > 1) {
      own_columns.push_back(&choice);
      sheet.columns.push_back({.key = choice.header, .header = choice.header});
    }
  }
  const std::vector<task::Metric> metrics = metrics_of(tasks_of(table));
  sheet.columns.push_back({.key = "params", .header = "#P (1e7)"});
  for (const task::Metric& metric : metrics) {
    sheet.columns.push_back({.key = std::string(metric.key), .header = header_of(metric, from)});
  }
  sheet.columns.push_back({.key = delta_m_key(table.delta_form), .header = delta_m_header(table.delta_form)});
  for (const Row& row : table.rows) {
    SheetRow line{.cells = {text_cell(row.model), text_cell(row.encoder), text_cell(row.weighting)}};
    for (const Choice* choice : own_columns) {
      line.cells.push_back(text_cell(joined(row, choice->cell)));
    }
    line.cells.push_back(parameters_cell(row.num_parameters));
    for (const task::Metric& metric : metrics) {
      line.cells.push_back(value_cell(metric, value_of(row.metrics, metric.key)));
    }
    line.cells.push_back(delta_m_cell(row));
    std::ranges::transform(row.runs, std::back_inserter(line.runs), &run::RunSummary::folder);
    sheet.rows.push_back(std::move(line));
  }
  return sheet;
}

std::string to_markdown(std::string_view title, std::span<const Table> tables,
                        std::span<const run::LeftOutRun> left_out) {
  std::vector<Sheet> sheets;
  std::ranges::transform(tables, std::back_inserter(sheets), [](const Table& table) { return to_sheet(table); });
  return to_markdown(title, std::span<const Sheet>(sheets), left_out);
}

}  // namespace xtasc::report
