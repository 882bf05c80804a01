#include "train/panels.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>

#include "figure/task_panel.hpp"

namespace xtasc::train {

namespace {

constexpr std::int64_t kMostRows = 4;

figure::Map drawn(const task::Task& task, const model::TaskMap& map) {
  return task.kind == task::Kind::classes ? figure::Map(map.classes) : figure::Map(map.values);
}

}  // namespace

Panels::Panels(const pack::Reader& pack, pack::Split split, std::size_t label_set, const data::Dataset& judged,
               const task::Tasks& tasks)
    : judged_(judged), tasks_(figure::drawn_tasks(tasks)) {
  const pack::Schema& schema = pack.schema();
  const pack::LabelSet& labels = schema.label_sets[label_set];
  options_ = figure::task_panel(tasks_, {labels.class_names, {labels.class_colors.begin(), labels.class_colors.end()}},
                                schema.depth_kind == pack::DepthKind::metres ? "m" : "inverse depth", schema.height,
                                schema.width);
  const std::vector<std::string> names = pack.names(split);
  const std::int64_t count = std::min(kMostRows, judged.size());
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t sample = judged.samples()[static_cast<std::size_t>(i * judged.size() / count)];
    Row row = {
        .caption = fmt::format("{} {}: {}", pack::split_name(split), sample, names[static_cast<std::size_t>(sample)]),
        .sample = sample,
        .image = std::vector<std::uint8_t>(static_cast<std::size_t>(options_.height * options_.width * 3)),
        .truths = {}};
    pack.read_images(split, sample, 1, row.image);
    const data::Batch batch = judged.batch(std::array{sample});
    for (const task::Task& task : tasks_) {
      const auto target = batch.targets.find(task.key);
      row.truths.push_back(target == batch.targets.end() ? std::nullopt
                                                         : std::optional(model::true_map(task, target->second)));
    }
    rows_.push_back(std::move(row));
  }
}

figure::Picture Panels::draw(const Learner& learner, const std::string& title) const {
  const c10::InferenceMode inference;
  const model::Mode mode = {.training = false, .compute = learner.types.compute};
  std::vector<std::vector<model::TaskMap>> predicted;  // by row and task; what the panel borrows
  std::vector<figure::PanelRow> panel;
  for (const Row& row : rows_) {
    const model::Predictions predictions =
        learner.net.forward_direct(judged_.batch(std::array{row.sample}).image_n3hw, mode);
    std::vector<model::TaskMap>& maps = predicted.emplace_back();
    for (const task::Task& task : tasks_) {
      maps.push_back(model::predicted_map(task, predictions.of(task.key)));
    }
    figure::PanelRow& shown = panel.emplace_back();
    shown.caption = row.caption;
    shown.image = row.image;
    for (std::size_t task = 0; task < tasks_.size(); ++task) {
      const std::optional<model::TaskMap>& truth = row.truths[task];
      shown.maps.push_back(truth ? std::optional(drawn(tasks_[task], *truth)) : std::nullopt);
      shown.maps.emplace_back(drawn(tasks_[task], maps[task]));
    }
  }
  figure::PanelOptions options = options_;
  options.title = title;
  return figure::encode_panel(title, panel, options);
}

}  // namespace xtasc::train
