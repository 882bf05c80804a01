#include "report/table_csv.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "report/metric_columns.hpp"
#include "run/config_values.hpp"

namespace xtasc::report {

namespace {

/// Everything measured of the rows' tasks: what other tables show as well, then the rest. Without rows, of every task.
std::vector<std::string_view> metric_keys(std::span<const Table> tables) {
  std::vector<const run::RunSummary*> runs;
  for (const Table& table : tables) {
    for (const Row& row : table.rows) {
      runs.insert(runs.end(), row.runs.begin(), row.runs.end());
    }
  }
  const task::Tasks tasks = runs.empty() ? task::Tasks(task::all().begin(), task::all().end()) : tasks_of(runs);
  std::vector<std::string_view> keys;
  std::ranges::transform(metrics_of(tasks), std::back_inserter(keys), &task::Metric::key);
  for (const task::Task& task : tasks) {
    keys.insert(keys.end(), task.further.begin(), task.further.end());
  }
  return keys;
}

/// Columns of the CSV before the metrics, and how to fill them.
struct CsvColumn {
  const char* header;
  std::function<std::string(const Table&, const Row&)> value;
};

std::vector<CsvColumn> csv_columns() {
  const auto of_first = [](auto text) {
    return [text](const Table&, const Row& row) { return fmt::format("{}", text(*row.runs.front())); };
  };
  const auto of_each = [](auto text) {
    return [text](const Table&, const Row& row) {
      return joined(row, [&text](const run::RunSummary& run) { return fmt::format("{}", text(run)); });
    };
  };
  const auto shown_epoch = [](const Table& table, const Row& row) {
    return joined(row, [&table](const run::RunSummary& run) {
      if (table.checkpoint == Checkpoint::mean10) {
        return fmt::format("{}-{}", run.last.epoch - static_cast<std::int64_t>(run::kNumMeanEpochs) + 1,
                           run.last.epoch);
      }
      const run::EpochRecord* shown = shown_of(run, table.checkpoint);
      return shown == nullptr ? "" : fmt::format("{}", shown->epoch);
    });
  };
  return {{"dataset", of_first([](const run::RunSummary& run) { return run.provenance.pack_dataset; })},
          {"height", of_first([](const run::RunSummary& run) { return run.provenance.pack_height; })},
          {"width", of_first([](const run::RunSummary& run) { return run.provenance.pack_width; })},
          {"num_classes", of_first([](const run::RunSummary& run) { return run.provenance.pack_num_classes; })},
          {"pack_digest", of_first([](const run::RunSummary& run) { return run.provenance.pack_digest; })},
          {"protocol", [](const Table& table, const Row&) { return std::string(name(table.protocol)); }},
          {"checkpoint", [](const Table& table, const Row&) { return std::string(name(table.checkpoint)); }},
          {"model", [](const Table&, const Row& row) { return row.model; }},
          {"system", of_each([](const run::RunSummary& run) {
             return config::words_of({&config::system_of(run.config.model)});
           })},
          {"encoder", of_first([](const run::RunSummary& run) { return config::encoder_of(run.config.model); })},
          {"encoder_weights", of_first([](const run::RunSummary& run) { return run.config.model.encoder_weights; })},
          {"decoder_width", of_first([](const run::RunSummary& run) { return run.config.model.decoder_width; })},
          {"weighting", of_first([](const run::RunSummary& run) { return run.config.weighting.method; })},
          {"lambda_1", of_first([](const run::RunSummary& run) { return run.config.loss.lambda_1; })},
          {"lambda_2", of_first([](const run::RunSummary& run) { return run.config.loss.lambda_2; })},
          {"precision", of_each([](const run::RunSummary& run) { return config::name(run.config.run.precision); })},
          {"batch_size", of_each([](const run::RunSummary& run) { return run.config.train.batch_size; })},
          {"world_size", of_each([](const run::RunSummary& run) { return run::ranks_text(run.provenance); })},
          {"epochs", of_first([](const run::RunSummary& run) { return run.last.epoch; })},
          {"shown_epoch", shown_epoch},
          {"seed", of_first([](const run::RunSummary& run) { return run.config.run.seed; })},
          {"num_parameters", [](const Table&, const Row& row) { return fmt::format("{}", row.num_parameters); }}};
}

/// Columns of keys that few runs set: each is there where any run has another value than the default.
std::vector<CsvColumn> columns_of_rare_keys(std::span<const Table> tables) {
  static constexpr std::array<std::pair<const char*, const char*>, 5> kKeys = {
      {{"lambda_3", "loss.lambda_3"},
       {"transfer", "model.transfer"},
       {"transfer_pairs", "model.transfer_pairs"},
       {"label_share", "data.label_share"},
       {"one_label", "data.one_label"}}};
  const run::ConfigValues defaults = run::config_values(config::RunConfig{});
  std::vector<CsvColumn> columns;
  for (const auto& [header, key] : kKeys) {
    const auto value = [key = std::string(key)](const run::RunSummary& run) {
      return run::shown_value(run::config_values(run.config).at(key));
    };
    const auto shown = [value, is_lambda_3 = header == std::string_view("lambda_3")](const run::RunSummary& run) {
      return is_lambda_3 && run.config.loss.lambda_3 < 0.0 ? std::string("0") : value(run);  // without a third task
    };
    const bool is_set = std::ranges::any_of(tables, [&](const Table& table) {
      return std::ranges::any_of(runs_of(table), [&](const run::RunSummary* run) {
        return value(*run) != run::shown_value(defaults.at(key));
      });
    });
    if (is_set) {
      columns.push_back({header, [shown](const Table&, const Row& row) { return joined(row, shown); }});
    }
  }
  return columns;
}

}  // namespace

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    return std::string(text);
  }
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c == '"' ? "\"\"" : std::string(1, c);
  }
  return quoted + '"';
}

std::string to_csv(std::span<const Table> tables) {
  std::vector<CsvColumn> columns = csv_columns();
  std::ranges::copy(columns_of_rare_keys(tables), std::back_inserter(columns));
  const std::vector<std::string_view> metrics = metric_keys(tables);
  std::string text;
  for (const CsvColumn& column : columns) {
    text += std::string(column.header) + ',';
  }
  const DeltaForm form = tables.empty() ? DeltaForm{} : tables.front().delta_form;
  text += fmt::format("{},{}_percent,runs,note\n", fmt::join(metrics, ","), delta_m_key(form));
  for (const Table& table : tables) {
    for (const Row& row : table.rows) {
      for (const CsvColumn& column : columns) {
        text += csv_field(column.value(table, row)) + ',';
      }
      for (const std::string_view key : metrics) {
        const std::optional<double> value = value_of(row.metrics, key);
        text += (value ? fmt::format("{}", *value) : "") + ',';
      }
      const std::string folders = joined(row, [](const run::RunSummary& run) { return run.folder.string(); });
      text += fmt::format("{},{},{}\n", row.delta_m ? fmt::format("{}", *row.delta_m) : "", csv_field(folders),
                          csv_field(row.footnote ? table.footnotes[*row.footnote] : ""));
    }
  }
  return text;
}

}  // namespace xtasc::report
