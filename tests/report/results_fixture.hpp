#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "config/run_config.hpp"
#include "config/systems.hpp"
#include "io/atomic_file.hpp"
#include "run/metrics_log.hpp"
#include "run/provenance.hpp"
#include "run/run_folder.hpp"
#include "support/temp_folder.hpp"
#include "task/task.hpp"

namespace xtasc::test {

/// Adds a line to a metrics.jsonl, as a run does that resumes from the whole lines in it.
inline void append_metrics(const std::filesystem::path& path, const run::EpochRecord& record) {
  std::string history = std::filesystem::exists(path) ? io::read_file(path) : std::string();
  history.erase(history.rfind('\n') == std::string::npos ? 0 : history.rfind('\n') + 1);
  run::MetricsLog log(path);
  log.restore(std::move(history));
  log.add(record);
  log.write();
}

inline std::string read_text(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// One line of a history; the metrics that the system has, `quality` better than a plain net's.
inline run::EpochRecord synthetic_epoch(std::int64_t epoch, bool is_best, double quality, bool has_segmentation = true,
                                        bool has_depth = true) {
  run::EpochRecord record;
  record.epoch = epoch;
  record.step = 100 * epoch;
  record.learning_rate = 1e-4;
  record.val_loss = {{"total", 2.0 - quality}};
  record.is_best = is_best;
  record.images_per_second = 12.5;
  record.seconds = {{"train", 3.25}};
  if (has_segmentation) {
    record.paper.insert({{"miou", 0.3 + quality}, {"pix_acc", 0.6 + quality}});
    record.dataset.insert({{"miou", 0.25 + quality}, {"pix_acc", 0.55 + quality}});
  }
  if (has_depth) {
    record.paper.insert({{"abs_err", 0.64 - quality}, {"rel_err", 0.24 - quality}, {"delta_1", 0.5 + quality}});
    record.dataset.insert({{"abs_err", 0.66 - quality}, {"rel_err", 0.26 - quality}, {"delta_1", 0.45 + quality}});
  }
  return record;
}

/// A run folder to be: three epochs, the second the best, unless changed. With data.holdout its epochs' metrics are
/// half of those at its end, which are what they would be without.
struct SyntheticRun {
  std::string name;
  std::vector<std::string> settings = {};  ///< as for --set
  double quality = 0.0;
  std::int64_t num_parameters = 21445184;
  std::int64_t num_epochs = 3;
  bool is_done = true;
  bool ends_by_patience = false;
  std::string pack_digest = "00112233445566778899aabbccddeeff";
  std::string dataset = "scenes";
  std::int64_t height = 64, width = 128, num_classes = 7;
};

/// Writes the folder `root`/name as xtasc-train would, through the config layer and the real writers.
inline run::RunFolder write_run(const std::filesystem::path& root, const SyntheticRun& run) {
  run::RunFolder folder{root / run.name};
  run::prepare_run_folder(folder);
  std::vector<std::string> settings = {"data.pack=scenes.h5", "model.encoder=resnet18", "train.epochs=3"};
  settings.insert(settings.end(), run.settings.begin(), run.settings.end());
  const config::RunConfig config = config::run_config_of(settings);
  write_text(folder.config(), config::to_toml(config, false));

  run::Provenance provenance;
  provenance.world_size = 2;
  provenance.precision = config::name(config.run.precision);
  provenance.pack_path = config.data.pack;
  provenance.pack_digest = run.pack_digest;
  provenance.pack_dataset = run.dataset;
  provenance.pack_height = run.height;
  provenance.pack_width = run.width;
  provenance.pack_num_classes = run.num_classes;
  provenance.pack_depth_kind = "metres";
  provenance.num_parameters = run.num_parameters;
  run::write_provenance(folder.provenance(), provenance);

  const config::System& system = config::system_of(config.model);
  std::string lines, at_end;
  for (std::int64_t epoch = 1; epoch <= run.num_epochs; ++epoch) {
    const double gain = epoch == 1 ? -0.02 : epoch == 2 ? 0.0 : -0.01;
    run::EpochRecord record =
        synthetic_epoch(epoch, epoch <= 2, run.quality + gain, system.has("seg"), system.has("depth"));
    for (const task::Task& task : config::tasks_of(system)) {
      for (const task::Metric& metric : task.metrics) {  // of other tasks: a half, `quality` better
        const double value = 0.5 + (metric.higher_is_better ? 1.0 : -1.0) * (run.quality + gain);
        record.paper.emplace(metric.key, value);
        record.dataset.emplace(metric.key, value);
      }
    }
    if (config.data.holdout > 0.0) {
      if (epoch == std::min<std::int64_t>(2, run.num_epochs) || epoch == run.num_epochs) {
        at_end += run::to_json_line(record) + '\n';
      }
      record.is_of_holdout = true;
      for (run::MetricValues* values : {&record.paper, &record.dataset}) {
        std::ranges::for_each(*values, [](auto& entry) { entry.second *= 0.5; });
      }
    }
    record.is_end_of_patience = run.ends_by_patience && epoch == run.num_epochs;
    lines += run::to_json_line(record) + '\n';
  }
  if (run.num_epochs > 0) {
    write_text(folder.metrics(), lines);
  }
  if (!at_end.empty()) {
    write_text(folder.final_metrics(), at_end);
  }
  if (run.is_done) {
    write_text(folder.done_marker(), "");
  }
  return folder;
}

/// Compares with a file in tests/golden; XTASC_UPDATE_GOLDEN=1 writes it anew. \param root  printed as RUNS
inline void expect_golden(std::string text, const std::filesystem::path& root, const std::string& file) {
  for (std::size_t at = text.find(root.string()); at != std::string::npos; at = text.find(root.string())) {
    text.replace(at, root.string().size(), "RUNS");
  }
  const std::filesystem::path path = std::filesystem::path(XTASC_SOURCE_DIR) / "tests/golden" / file;
  if (std::getenv("XTASC_UPDATE_GOLDEN") != nullptr) {
    write_text(path, text);
  }
  EXPECT_EQ(text, read_text(path));
}

}  // namespace xtasc::test
