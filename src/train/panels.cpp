#include "train/panels.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "core/error.hpp"
#include "model/unit_vectors.hpp"

namespace xtasc::train {

namespace {

constexpr std::int64_t kMostRows = 4;

figure::MapKind kind_of(const task::Task& task) {
  switch (task.kind) {
    case task::Kind::classes:
      return figure::MapKind::classes;
    case task::Kind::depth:
      return figure::MapKind::numbers;
    case task::Kind::unit_vector:
      return figure::MapKind::normals;
  }
  fail("task \"{}\" is of no kind that can be drawn", task.key);
}

template <typename T>
std::vector<T> values_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kCPU, c10::CppTypeToScalarType<T>::value).contiguous();
  const T* data = flat.const_data_ptr<T>();
  return {data, data + flat.numel()};
}

/// \param target  as data::Batch::targets has it
PanelMap truth_map(const task::Task& task, const at::Tensor& target) {
  return task.kind == task::Kind::classes ? PanelMap{values_of<std::uint8_t>(target), {}}
                                          : PanelMap{{}, values_of<float>(target)};
}

/// \param prediction  (1, channels, H, W)
PanelMap predicted_map(const task::Task& task, const at::Tensor& prediction) {
  switch (task.kind) {
    case task::Kind::classes:
      return {values_of<std::uint8_t>(prediction.argmax(1)), {}};
    case task::Kind::depth:
      return {{}, values_of<float>(prediction)};
    case task::Kind::unit_vector:
      return {{}, values_of<float>(model::unit_vectors(prediction))};
  }
  fail("task \"{}\" is of no kind that can be drawn", task.key);
}

figure::Map drawn(const task::Task& task, const PanelMap& map) {
  return task.kind == task::Kind::classes ? figure::Map(map.classes) : figure::Map(map.values);
}

figure::PanelOptions options_of(const pack::Schema& schema, std::size_t label_set, const task::Tasks& tasks) {
  const pack::LabelSet& labels = schema.label_sets[label_set];
  figure::PanelOptions options = {
      .height = schema.height,
      .width = schema.width,
      .columns = {},
      .palettes = {{labels.class_names, {labels.class_colors.begin(), labels.class_colors.end()}}},
      .scales = {}};
  for (const task::Task& task : tasks) {
    const figure::MapKind kind = kind_of(task);
    if (kind == figure::MapKind::numbers) {
      const bool is_metres = task.key == "depth" && schema.depth_kind == pack::DepthKind::metres;
      options.scales.push_back({fmt::format("{}{}", task.name, is_metres ? " [m]" : "")});
    }
    for (const bool is_truth : {true, false}) {
      options.columns.push_back(
          {.head = fmt::format("{}{}: {}", task.truth, kind == figure::MapKind::classes ? "s" : "",
                               is_truth ? "truth" : "predicted"),
           .part = fmt::format("the {} {}", is_truth ? "true" : "predicted", task.truth),
           .kind = kind,
           .paint = kind == figure::MapKind::numbers ? options.scales.size() - 1 : 0,
           .has_invalid = is_truth && kind != figure::MapKind::classes});
    }
  }
  return options;
}

}  // namespace

Panels::Panels(const pack::Reader& pack, pack::Split split, std::size_t label_set, const data::Dataset& judged,
               const task::Tasks& tasks)
    : judged_(judged) {
  std::ranges::copy_if(tasks, std::back_inserter(tasks_), [](const task::Task& task) {
    return task.channels < 2 || kind_of(task) == figure::MapKind::normals;
  });
  options_ = options_of(pack.schema(), label_set, tasks_);
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
                                                         : std::optional(truth_map(task, target->second)));
    }
    rows_.push_back(std::move(row));
  }
}

figure::Picture Panels::draw(const Learner& learner, const std::string& title) const {
  const c10::InferenceMode inference;
  const model::Mode mode = {.training = false, .compute = learner.types.compute};
  std::vector<std::vector<PanelMap>> predicted;  // by row and task; what the panel borrows
  std::vector<figure::PanelRow> panel;
  for (const Row& row : rows_) {
    const model::Predictions predictions =
        learner.net.forward_direct(judged_.batch(std::array{row.sample}).image_n3hw, mode);
    std::vector<PanelMap>& maps = predicted.emplace_back();
    for (const task::Task& task : tasks_) {
      maps.push_back(predicted_map(task, predictions.of(task.key)));
    }
    figure::PanelRow& shown = panel.emplace_back();
    shown.caption = row.caption;
    shown.image = row.image;
    for (std::size_t task = 0; task < tasks_.size(); ++task) {
      const std::optional<PanelMap>& truth = row.truths[task];
      shown.maps.push_back(truth ? std::optional(drawn(tasks_[task], *truth)) : std::nullopt);
      shown.maps.emplace_back(drawn(tasks_[task], maps[task]));
    }
  }
  figure::PanelOptions options = options_;
  options.title = title;
  return figure::encode_panel(title, panel, options);
}

}  // namespace xtasc::train
