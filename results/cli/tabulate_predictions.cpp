// --figure predictions: what runs predict of some samples of their pack, side by side, beside the truth.
#include <algorithm>
#include <deque>
#include <iterator>
#include <set>
#include <span>
#include <utility>

#include "config/systems.hpp"
#include "core/log.hpp"
#include "core/temp_folder.hpp"
#include "figure/task_panel.hpp"
#include "report/publish.hpp"
#include "results/cli/pack_samples.hpp"
#include "results/cli/tabulate.hpp"

namespace xtasc::tabulate {

namespace {

constexpr std::int64_t kUsualSamples = 4;
constexpr std::size_t kMostRuns = 8;

/// The rows of the picture, and the memory that they show.
class Rows {
 public:
  explicit Rows(const PackSamples& samples) : samples_(samples) {
    const std::vector<std::string> names = samples.names();
    for (std::size_t i = 0; i < names.size(); ++i) {
      const PackSamples::Bytes& image = images_.emplace_back(samples.image(samples.indices()[i]));
      rows_.push_back({.caption = names[i], .image = image, .maps = {}});
    }
  }

  /// The next column. \param values_of  of a sample
  template <typename F>
  void add_column(const F& values_of) {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const PackSamples::Values& values = values_.emplace_back(values_of(samples_.indices()[i]));
      rows_[i].maps.emplace_back(
          std::visit([](const auto& numbers) { return figure::Map(std::span(numbers)); }, values));
    }
  }
  void add_empty_column() {
    for (figure::PanelRow& row : rows_) {
      row.maps.emplace_back(std::nullopt);
    }
  }

  [[nodiscard]] const std::vector<figure::PanelRow>& rows() const { return rows_; }

 private:
  const PackSamples& samples_;
  std::deque<PackSamples::Bytes> images_;
  std::deque<PackSamples::Values> values_;
  std::vector<figure::PanelRow> rows_;
};

bool predicts(const page::PageRun& run, const task::Task& task) {
  return config::system_of(run.config.model).has(task.key);
}

/// The tasks that any of the runs predicts and that can be drawn.
task::Tasks tasks_of(const std::vector<page::PageRun>& runs) {
  task::Tasks tasks;
  std::ranges::copy_if(task::all(), std::back_inserter(tasks), [&runs](const task::Task& task) {
    return std::ranges::any_of(runs, [&task](const page::PageRun& run) { return predicts(run, task); });
  });
  return figure::drawn_tasks(tasks);
}

/// The finished runs under the names that tables give them. \throws Error (exit code 2) where they are of several packs
std::vector<page::PageRun> runs_of(const Options& options) {
  run::LoadedRuns loaded = load_finished_runs(options);
  for (const run::LeftOutRun& run : std::exchange(loaded.left_out, {})) {
    log_warning("left out: {}: {}", run.folder.string(), run.reason);
  }
  page::Page page{.title = options.title};
  page::add_runs(page, loaded,
                 report::make_tables(loaded.runs, options.shown_protocols("paper"), options.shown_checkpoint(),
                                     options.delta_form()));
  std::set<std::pair<std::string, std::string>> packs;
  for (const page::PageRun& run : page.runs) {
    packs.emplace(run.provenance.pack_digest, run.config.data.label_set);
  }
  if (packs.size() > 1) {
    fail_usage(
        "--figure predictions: runs on {} packs or sets of labels, and a figure is of one: give the folders of one",
        packs.size());
  }
  if (page.runs.size() > kMostRuns) {
    fail_usage("--figure predictions: {} runs, of which {} at most have room side by side: give their folders",
               page.runs.size(), kMostRuns);
  }
  return std::move(page.runs);
}

}  // namespace

ExitCode draw_predictions(const Options& options) {
  const std::vector<page::PageRun> runs = runs_of(options);
  const std::string path = options.output + ".png";
  report::make_folder_of(options.output);
  const PackSamples samples =
      samples_of(runs.front(), options.num_panels > 0 ? options.num_panels : kUsualSamples, options);
  const pack::Schema& schema = samples.schema();
  const pack::LabelSet& labels = samples.labels();
  const task::Tasks tasks = tasks_of(runs);
  figure::PanelOptions panel = figure::task_panel(
      tasks, {labels.class_names, {labels.class_colors.begin(), labels.class_colors.end()}},
      schema.depth_kind == pack::DepthKind::metres ? "m" : "inverse depth", schema.height, schema.width);
  panel.title = options.title == Options{}.title ? "" : options.title;
  const std::vector<figure::PanelColumn> two_a_task = std::exchange(panel.columns, {});

  std::deque<TempFolder> folders;
  for (const page::PageRun& run : runs) {
    log_info("predicting with {}", run.folder.string());
    samples.predict(run, folders.emplace_back(std::filesystem::path{}, "xtasc-panels-").path());
  }
  Rows rows(samples);
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    panel.columns.push_back(two_a_task[2 * t]);
    samples.has_truth(tasks[t]) ? rows.add_column([&](std::int64_t sample) { return samples.truth(tasks[t], sample); })
                                : rows.add_empty_column();
    for (std::size_t r = 0; r < runs.size(); ++r) {
      if (predicts(runs[r], tasks[t])) {
        panel.columns.push_back(two_a_task[2 * t + 1]);
        panel.columns.back().head = runs[r].name;
        rows.add_column([&](std::int64_t sample) { return samples.predicted(tasks[t], sample, folders[r].path()); });
      }
    }
  }
  options.watch->beat("writing " + path);
  figure::write_panel(path, rows.rows(), panel);
  log_info("drew {}: {} samples, {} runs", path, rows.rows().size(), runs.size());
  return ExitCode::success;
}

}  // namespace xtasc::tabulate
