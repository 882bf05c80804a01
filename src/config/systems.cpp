#include "config/systems.hpp"

#include <algorithm>
#include <cstddef>

#include "core/error.hpp"

namespace xtasc::config {

namespace {

std::vector<System>& system_rows() {
  // Keys of what is made of a ResNet and decoders; of what has task-transfer nets, too.
  static const std::vector<std::string_view> decoded = {"model.encoder", "model.encoder_weights_digest",
                                                        "model.decoder_width"};
  static const std::vector<std::string_view> transferred = {"model.encoder", "model.encoder_weights_digest",
                                                            "model.decoder_width", "model.ttnet_widths",
                                                            "model.ttnet_batch_norm"};
  static std::vector<System> rows = {
      {.word = "xtasc",
       .label = "XTasC-Net",
       .help = "cross-task consistency",
       .place = 3,
       .tasks = {"seg", "depth"},
       .consistency = Consistency::xtc,
       .keys = transferred},
      {.word = "align",
       .label = "Align-Net",
       .help = "alignment loss",
       .place = 2,
       .tasks = {"seg", "depth"},
       .consistency = Consistency::align,
       .keys = transferred},
      {.word = "base_mt",
       .label = "Base MT-Net",
       .help = "a decoder a task",
       .place = 1,
       .tasks = {"seg", "depth"},
       .keys = decoded},
      {.word = "base_st_seg",
       .label = "Base ST-Net",
       .help = "segmentation alone",
       .place = 0,
       .tasks = {"seg"},
       .part_of = "base_st",
       .beta_2 = 0.999,
       .keys = decoded},
      {.word = "base_st_depth",
       .label = "Base ST-Net",
       .help = "depth alone",
       .place = 0,
       .tasks = {"depth"},
       .part_of = "base_st",
       .beta_2 = 0.999,
       .keys = decoded},
  };
  return rows;
}

std::vector<Method>& method_rows() {
  static std::vector<Method> rows = {
      {.word = "equal", .keys = {}},
      {.word = "uncertainty", .keys = {"regulariser", "learning_rate"}},
      {.word = "gradnorm", .needs = Needs::norms, .keys = {"learning_rate", "alpha"}},
      {.word = "dwa", .keys = {"temperature"}},
      {.word = "rlw", .keys = {}},
      {.word = "pcgrad", .needs = Needs::gram, .keys = {"parameters"}},
      {.word = "cagrad", .needs = Needs::gram, .keys = {"parameters", "c", "rescale"}},
      {.word = "mgda", .needs = Needs::gram, .keys = {"parameters", "normalisation"}},
      {.word = "imtl_l", .keys = {"learning_rate"}},
      {.word = "imtl_g", .needs = Needs::gram, .keys = {"parameters"}},
      {.word = "imtl", .needs = Needs::gram, .keys = {"parameters", "learning_rate"}},
      {.word = "famo",
       .needs = Needs::losses_after_step,
       .learning_rate = 0.025,
       .keys = {"learning_rate", "weight_decay", "max_norm"}},
  };
  return rows;
}

template <typename Row>
const Row& row_of(const std::vector<Row>& rows, std::string_view word, std::string_view what) {
  const auto found = std::ranges::find(rows, word, &Row::word);
  check(found != rows.end(), "there is no {} \"{}\"", what, word);
  return *found;
}

template <typename Row>
void add_row(std::vector<Row>& rows, Row row, std::string_view what) {
  check(std::ranges::find(rows, row.word, &Row::word) == rows.end(), "there is a {} \"{}\" already", what, row.word);
  rows.push_back(std::move(row));
}

}  // namespace

bool System::has(std::string_view task) const {
  return std::ranges::find(tasks, task) != tasks.end();
}

bool System::uses(std::string_view full_key) const {
  return std::ranges::find(keys, full_key) != keys.end();
}

bool Method::uses(std::string_view key) const {
  return std::ranges::find(keys, key) != keys.end();
}

const std::vector<System>& systems() {
  return system_rows();
}

const std::vector<Method>& methods() {
  return method_rows();
}

const System& system_of(std::string_view word) {
  return row_of(systems(), word, "system");
}

const Method& method_of(std::string_view word) {
  return row_of(methods(), word, "weighting method");
}

std::size_t place_of_method(std::string_view word) {
  return static_cast<std::size_t>(&method_of(word) - methods().data());
}

std::vector<const System*> parts_of_row(const System& system) {
  std::vector<const System*> parts;
  for (const System& other : systems()) {
    if (other.word == system.word || (!system.part_of.empty() && other.part_of == system.part_of)) {
      parts.push_back(&other);
    }
  }
  return parts;
}

std::vector<std::vector<const System*>> rows_of_parts() {
  std::vector<std::vector<const System*>> rows;
  for (const System& system : systems()) {
    if (auto parts = parts_of_row(system); parts.size() > 1 && parts.front()->word == system.word) {
      rows.push_back(std::move(parts));
    }
  }
  return rows;
}

std::vector<const System*> baseline_of(const task::Tasks& tasks) {
  std::vector<const System*> best;
  std::size_t fewest = 0;
  for (const std::vector<const System*>& parts : rows_of_parts()) {
    const auto has = [&parts](std::string_view task) {
      return std::ranges::any_of(parts, [task](const System* part) { return part->has(task); });
    };
    const auto num_tasks = static_cast<std::size_t>(std::ranges::count_if(task::all(), has, &task::Task::key));
    if (std::ranges::all_of(tasks, has, &task::Task::key) && (best.empty() || num_tasks < fewest)) {
      best = parts;
      fewest = num_tasks;
    }
  }
  return best;
}

std::string words_of(const std::vector<const System*>& systems) {
  std::string words;
  for (std::size_t i = 0; i < systems.size(); ++i) {
    words += i == 0 ? "" : i + 1 == systems.size() ? " and " : ", ";
    words += systems[i]->word;
  }
  return words;
}

task::Tasks tasks_of(const System& system) {
  task::Tasks tasks;
  for (const std::string_view key : system.tasks) {
    tasks.push_back(task::of_key(key));
  }
  return tasks;
}

void add_system(System system) {
  add_row(system_rows(), std::move(system), "system");
}

void add_method(Method method) {
  add_row(method_rows(), std::move(method), "weighting method");
}

}  // namespace xtasc::config
