#include "config/systems.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "config/rows.hpp"
#include "config/run_config.hpp"
#include "core/error.hpp"

namespace xtasc::config {

namespace {

std::vector<System>& system_rows() {
  // Keys of what is made of a ResNet and decoders; of what has task-transfer nets, too.
  static const std::vector<std::string_view> decoded = {"model.encoder", "model.encoder_weights_digest",
                                                        "model.decoder_width"};
  static const std::vector<std::string_view> decoded_tasks = {"model.tasks", "model.encoder",
                                                              "model.encoder_weights_digest", "model.decoder_width"};
  static const std::vector<std::string_view> transferred = {
      "model.tasks",         "model.encoder",        "model.encoder_weights_digest",
      "model.decoder_width", "model.ttnet_widths",   "model.ttnet_batch_norm",
      "model.transfer",      "model.transfer_pairs", "model.transfers_per_task"};
  static const std::vector<std::string_view> tasks = {"model.tasks"};
  static const std::vector<std::string_view> stitched = {"model.tasks", "model.cross_stitch"};
  static const std::vector<std::string_view> taught = {"model.tasks", "distillation."};
  static const std::vector<std::string_view> adaptive = {"model.tasks", "model.adamt_attention", "model.dropout"};
  static const std::vector<std::string_view> dilated = {"model.tasks", "model.encoder", "model.encoder_weights_digest",
                                                        "model.dropout"};
  static std::vector<System> rows = {
      {.word = "xtasc",
       .label = "XTasC-Net",
       .help = "cross-task consistency",
       .place = 3,
       .tasks = {},
       .num_tasks = {2, 0},
       .consistency = Consistency::xtc,
       .keys = transferred},
      {.word = "align",
       .label = "Align-Net",
       .help = "alignment loss",
       .place = 2,
       .tasks = {},
       .num_tasks = {2, 0},
       .consistency = Consistency::align,
       .keys = transferred},
      {.word = "base_mt",
       .label = "Base MT-Net",
       .help = "a decoder a task",
       .place = 1,
       .tasks = {},
       .num_tasks = {2, 0},
       .keys = decoded_tasks},
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
      {.word = "base_st",
       .label = "Base ST-Net",
       .help = "one of model.tasks alone",
       .place = 0,
       .tasks = {},
       .num_tasks = {1, 1},
       .beta_2 = 0.999,
       .keys = decoded_tasks},
      {.word = "segnet",
       .label = "SegNet",
       .label_of_several = "SegNet Split",
       .help = "one SegNet with a head a task",
       .network = "segnet",
       .place = 4,
       .tasks = {},
       .set_against = "segnet",
       .beta_2 = 0.999,
       .keys = tasks},
      {.word = "stan",
       .label = "STAN",
       .help = "MTAN with a single task",
       .network = "mtan",
       .place = 5,
       .tasks = {},
       .num_tasks = {1, 1},
       .set_against = "segnet",
       .beta_2 = 0.999,
       .keys = tasks},
      {.word = "dense",
       .label = "Dense",
       .help = "a shared SegNet and one a task that reads it",
       .network = "dense",
       .place = 6,
       .tasks = {},
       .num_tasks = {2, 0},
       .set_against = "segnet",
       .beta_2 = 0.999,
       .keys = tasks},
      {.word = "cross_stitch",
       .label = "Cross-Stitch",
       .help = "a SegNet a task, with learned mixtures between them",
       .network = "cross_stitch",
       .place = 7,
       .tasks = {},
       .num_tasks = {2, 0},
       .set_against = "segnet",
       .beta_2 = 0.999,
       .keys = stitched},
      {.word = "mtan",
       .label = "MTAN",
       .help = "one SegNet and attention to its stages a task",
       .network = "mtan",
       .place = 8,
       .tasks = {},
       .num_tasks = {2, 0},
       .set_against = "segnet",
       .beta_2 = 0.999,
       .keys = tasks},
      {.word = "kd4mtl",
       .label = "KD4MTL",
       .help = "MTAN that learns from a STAN a task, too",
       .network = "kd4mtl",
       .place = 9,
       .tasks = {},
       .num_tasks = {2, 0},
       .set_against = "segnet",
       .beta_2 = 0.999,
       .keys = taught},
      {.word = "adamt",
       .label = "AdaMT-Net",
       .help = "a dense encoder, and decoders with learned factors",
       .network = "adamt",
       .place = 10,
       .tasks = {},
       .num_tasks = {2, 0},
       .set_against = "segnet",
       .beta_2 = 0.999,
       .keys = adaptive},
      {.word = "deeplab",
       .label = "DeepLab HPS",
       .help = "a dilated ResNet with an ASPP head a task",
       .network = "deeplab",
       .place = 11,
       .tasks = {},
       .set_against = "deeplab",
       .beta_2 = 0.999,
       .keys = dilated},
  };
  return rows;
}

/// "segmentation", "depth".
std::vector<std::string_view> names_of(const System& system) {
  std::vector<std::string_view> names;
  std::ranges::transform(tasks_of(system), std::back_inserter(names), &task::Task::name);
  return names;
}

std::string number_of_tasks(const System& row) {
  const auto [few, many] = row.num_tasks;
  return few == many ? fmt::format("{} task{}", few, few == 1 ? "" : "s")
                     : fmt::format("{} or more tasks{}", few, many == 0 ? "" : fmt::format(", at most {}", many));
}

/// The row with tasks by their names, always the same object for the same tasks in the same order.
const System& with_tasks(const System& row, const std::vector<std::string>& names) {
  const auto [few, many] = row.num_tasks;
  if (names.size() < few || (many > 0 && names.size() > many)) {
    fail_usage("model.system = \"{}\" takes {}, but model.tasks names {}: {}", row.word, number_of_tasks(row),
               names.size(), fmt::join(names, ", "));
  }
  System system = row;
  for (const std::string& name : names) {
    const auto found = std::ranges::find(task::all(), name, &task::Task::name);
    check(found != task::all().end(), "there is no task \"{}\"", name);
    system.tasks.push_back(found->key);
  }
  for (const System& fixed : system_rows()) {  // "base_st_seg" is base_st with that task
    if (fixed.part_of == row.word && fixed.tasks == system.tasks) {
      return fixed;
    }
  }
  system.part_of = names.size() == 1 ? row.word : std::string_view();
  system.label = names.size() > 1 && !row.label_of_several.empty() ? row.label_of_several : row.label;
  static std::map<std::pair<std::string_view, std::vector<std::string_view>>, System> resolved;
  static std::mutex guard;
  const std::lock_guard lock(guard);
  return resolved.try_emplace({system.word, system.tasks}, system).first->second;
}

/// Whether the row leaves its tasks open, and these are not what model.tasks is by default.
bool has_other_tasks(const System& system) {
  const std::vector<std::string> names = ModelSection().tasks;
  return system.uses("model.tasks") && !std::ranges::equal(names_of(system), names);
}

/// All single parts of one name, `part_of`, that are there for these tasks: rows of their own, then what an open row of
/// that word is with each task that is left.
std::vector<const System*> parts_of_family(std::string_view family, const task::Tasks& tasks) {
  std::vector<const System*> parts;
  const auto is_there = [&parts](std::string_view task) {
    return std::ranges::any_of(parts, [task](const System* part) { return part->has(task); });
  };
  for (const System& row : systems()) {
    if (row.part_of == family &&
        std::ranges::any_of(tasks, [&row](const task::Task& task) { return row.has(task.key); })) {
      parts.push_back(&row);
    }
  }
  for (const System& row : systems()) {
    for (const task::Task& task : tasks) {
      if (row.word == family && row.tasks.empty() && !is_there(task.key)) {
        parts.push_back(&with_tasks(row, {std::string(task.name)}));
      }
    }
  }
  return parts;
}

}  // namespace

bool System::has(std::string_view task) const {
  return std::ranges::find(tasks, task) != tasks.end();
}

bool System::uses(std::string_view full_key) const {
  return std::ranges::any_of(keys, [full_key](std::string_view key) {
    return key == full_key || (key.ends_with('.') && full_key.starts_with(key));
  });
}

bool System::is_set_against(const System& single) const {
  return set_against.empty() ? single.set_against.empty() : single.part_of == set_against;
}

const std::vector<System>& systems() {
  return system_rows();
}

const System& system_of(std::string_view word) {
  return row_of(systems(), word, "system");
}

const System& system_of(const ModelSection& model) {
  const System& row = system_of(model.system);
  return row.tasks.empty() ? with_tasks(row, model.tasks) : row;
}

task::Tasks tasks_of_rows(std::span<const System* const> systems) {
  std::vector<std::string_view> keys;
  for (const System* system : systems) {
    keys.insert(keys.end(), system->tasks.begin(), system->tasks.end());
  }
  const std::vector<std::string> names = ModelSection().tasks;
  const bool is_single = std::ranges::all_of(keys, [&keys](std::string_view key) { return key == keys.front(); });
  task::Tasks tasks;
  std::ranges::copy_if(task::all(), std::back_inserter(tasks), [&](const task::Task& task) {
    return std::ranges::count(keys, task.key) > 0 || (is_single && std::ranges::count(names, task.name) > 0);
  });
  return tasks;
}

std::vector<const System*> parts_of_row(const System& system, const task::Tasks& tasks) {
  return system.part_of.empty() ? std::vector{&system} : parts_of_family(system.part_of, tasks);
}

std::vector<std::vector<const System*>> rows_of_parts(const task::Tasks& tasks) {
  std::vector<std::vector<const System*>> rows;
  std::set<std::string_view> seen;
  for (const System& system : systems()) {
    const bool is_open = system.tasks.empty() && system.num_tasks[0] == 1;
    const std::string_view family = is_open ? system.word : system.part_of;
    if (family.empty() || !seen.insert(family).second) {
      continue;
    }
    if (auto parts = parts_of_family(family, tasks); parts.size() > 1) {
      rows.push_back(std::move(parts));
    }
  }
  return rows;
}

std::vector<const System*> baseline_of(const System& system, const task::Tasks& tasks) {
  std::vector<const System*> best;
  if (!system.set_against.empty()) {
    for (const task::Task& task : tasks) {
      best.push_back(&with_tasks(system_of(system.set_against), {std::string(task.name)}));
    }
    return best;
  }
  std::size_t fewest = 0;
  for (const std::vector<const System*>& parts : rows_of_parts(tasks)) {
    const auto has = [&parts](std::string_view task) {
      return std::ranges::any_of(parts, [task](const System* part) { return part->has(task); });
    };
    const auto num_tasks = static_cast<std::size_t>(std::ranges::count_if(task::all(), has, &task::Task::key));
    if (system.is_set_against(*parts.front()) && std::ranges::all_of(tasks, has, &task::Task::key) &&
        (best.empty() || num_tasks < fewest)) {
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
    words += has_other_tasks(*systems[i]) ? fmt::format(" ({})", fmt::join(names_of(*systems[i]), ", ")) : "";
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

}  // namespace xtasc::config
