#include "config/run_config.hpp"

#include <algorithm>
#include <cmath>

#include "config/methods.hpp"
#include "config/run_fields.hpp"
#include "config/systems.hpp"
#include "core/error.hpp"
#include "io/file.hpp"

namespace xtasc::config {

namespace {

void resolve_weighting(RunConfig& c) {
  for_changed_keys_of_methods(c, [&](const Field& field) {
    if (!method_of(c.weighting.method).uses(field.key)) {
      fail_usage("weighting.{} = {} says nothing to weighting.method = \"{}\": it is for {}", field.key, field.print(),
                 c.weighting.method, fmt::join(field.methods, ", "));
    }
  });
  if (c.weighting.rescale > 2) {
    fail_usage("weighting.rescale must be 0, 1 or 2, found {}", c.weighting.rescale);
  }
  if (c.weighting.learning_rate == 0.0) {
    c.weighting.learning_rate = method_of(c.weighting.method).learning_rate;
  }
  if (const auto check_keys = method_of(c.weighting.method).check_keys) {
    check_keys(c);
  }
  const HeadGradients heads = default_weighting(c.weighting.method).heads;
  if (c.weighting.parameters == WeightedParameters::all && c.weighting.heads != heads) {
    fail_usage(
        "weighting.heads = \"{}\" says nothing beside weighting.parameters = \"all\", which combines what is each "
        "task's own, too",
        name(c.weighting.heads));
  }
}

/// Those of `fixed`, one a task.
void resolve_weights(WeightingSection& weighting, const System& system) {
  if (!method_of(weighting.method).uses("weights")) {
    return;
  }
  if (weighting.weights.empty()) {
    weighting.weights.assign(system.tasks.size(), 1.0);
  }
  if (weighting.weights.size() != system.tasks.size()) {
    fail_usage("weighting.weights has {} value{}, but there are {} tasks: {}", weighting.weights.size(),
               weighting.weights.size() == 1 ? "" : "s", system.tasks.size(), fmt::join(system.tasks, ", "));
  }
  if (std::ranges::all_of(weighting.weights, [](double weight) { return weight == 0.0; })) {
    fail_usage("weighting.weights are all 0: nothing would be learnt");
  }
}

/// "segnet, stan": whose rows name the key.
std::string systems_with(const std::string& full_key) {
  std::vector<std::string_view> words;
  for (const System& system : systems()) {
    if (system.uses(full_key)) {
      words.push_back(system.word);
    }
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

void refuse_keys_of_other_systems(RunConfig config) {
  RunConfig defaults;
  const auto fields = run_fields(config);
  const auto default_fields = run_fields(defaults);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const Field& field = fields[i];
    if (field.is_for_no_other && !field.counts() && field.print() != default_fields[i].print()) {
      const std::string full_key = field.section + "." + field.key;
      fail_usage("{} = {} says nothing to model.system = \"{}\": it is for {}", full_key, field.print(),
                 config.model.system, systems_with(full_key));
    }
  }
}

/// The tasks of a student may have a teacher; no other may.
void check_teachers(const RunConfig& c, const System& system) {
  for (const auto& [task, teacher] : c.distillation.teachers) {
    if (!teacher.weights.empty() && !system.has(task)) {
      fail_usage("distillation.teacher_{} says nothing here: {} is none of model.tasks", task, task);
    }
  }
}

/// The two tasks of a pair by their keys, "seg>depth".
std::pair<std::string_view, std::string_view> tasks_of_pair(std::string_view pair) {
  const std::size_t between = pair.find('>');
  return {pair.substr(0, between), pair.substr(between + 1)};
}

void check_transfers(const ModelSection& model, const System& system) {
  for (const std::string& pair : model.transfer_pairs) {
    const auto [from, to] = tasks_of_pair(pair);
    for (const std::string_view task : {from, to}) {
      if (!system.has(task)) {
        fail_usage("model.transfer_pairs names \"{}\", but {} is none of model.tasks (here {})", pair, task,
                   fmt::join(system.tasks, ", "));
      }
    }
  }
  const bool draws = model.transfer == TransferScheme::sample;
  if (!model.transfer_pairs.empty() && model.transfer != TransferScheme::pairs) {
    fail_usage(
        "model.transfer = \"{}\" says nothing beside model.transfer_pairs, which is a list of its own: leave one out",
        name(model.transfer));
  }
  if (!draws && model.transfers_per_task != 1) {
    fail_usage("model.transfers_per_task = {} says nothing to model.transfer = \"{}\": it is for sample",
               model.transfers_per_task, name(model.transfer));
  }
  const auto others = static_cast<std::int64_t>(system.tasks.size()) - 1;
  if (draws && model.transfers_per_task > others) {
    fail_usage("model.transfers_per_task = {}, but each of {} tasks has {} other{}", model.transfers_per_task,
               system.tasks.size(), others, others == 1 ? "" : "s");
  }
}

/// A row of one fixed task says all that base_st with that task in model.tasks says: they are one run.
void name_fixed_row(ModelSection& model, const System& system) {
  if (model.system != system.word) {
    model.system = system.word;
    model.tasks = ModelSection().tasks;
  }
}

void resolve_lambdas(LossSection& loss, const System& system) {
  if (!system.has_transfer()) {
    loss.lambda_1 = 0.0;
    loss.lambda_2 = 0.0;
  }
  if (loss.lambda_3 < 0.0 && loss.lambda_3 != LossSection::kAsLambda2) {
    fail_usage("loss.lambda_3 must be between 0 and 1, or {} for that of lambda_2, found {}", LossSection::kAsLambda2,
               loss.lambda_3);
  }
  const bool has_third = system.has_transfer() && system.tasks.size() > 2;
  loss.lambda_3 = has_third ? loss.lambda_of(2) : LossSection::kAsLambda2;
}

/// \throws Error (exit code 2) where a batch in pieces is asked for of a method whose weights are not known before the
/// batch's losses or gradients are
void check_accumulation(std::int64_t accumulate, const std::string& method) {
  if (accumulate == 1 || method_of(method).weighs_before_losses) {
    return;
  }
  std::vector<std::string_view> others;
  for (const Method& other : methods()) {
    if (other.weighs_before_losses) {
      others.push_back(other.word);
    }
  }
  fail_usage(
      "train.accumulate = {} adds up a batch's gradient from pieces, but weighting.method = \"{}\" weighs by what the "
      "whole batch's losses or gradients are: set train.accumulate to 1, or take one of {}",
      accumulate, method, fmt::join(others, ", "));
}

/// Refuses what says nothing beside the other keys of [train], and gives Adam its betas.
void resolve_training(TrainSection& train, const System& system) {
  const TrainSection defaults;
  const auto check_is_for = [](bool is_default, bool says_something, const std::string& set, const std::string& beside,
                               std::string_view wanted) {
    if (!is_default && !says_something) {
      fail_usage("train.{} says nothing to train.{}: it is for {}", set, beside, wanted);
    }
  };
  const std::string optimizer = fmt::format("optimizer = \"{}\"", name(train.optimizer));
  const bool is_sgd = train.optimizer == Optimizer::sgd;
  check_is_for(train.momentum == defaults.momentum, is_sgd, fmt::format("momentum = {}", train.momentum), optimizer,
               "sgd");
  const bool has_adam = !is_sgd || system.uses("distillation.");  // a student's adaptors have one
  check_is_for(train.betas.empty(), has_adam, fmt::format("betas = [{}]", fmt::join(train.betas, ", ")), optimizer,
               "adam, adamw");
  check_is_for(train.poly_power == defaults.poly_power, train.schedule == Schedule::poly,
               fmt::format("poly_power = {}", train.poly_power), fmt::format("schedule = \"{}\"", name(train.schedule)),
               "poly");
  if (train.accumulate > train.batch_size) {
    fail_usage("train.accumulate = {} would cut a batch of {} images (train.batch_size) into more pieces than it has",
               train.accumulate, train.batch_size);
  }
  if (train.betas.empty() && has_adam) {
    train.betas = {0.9, system.beta_2};
  }
}

void resolve(RunConfig& c) {
  resolve_weighting(c);
  refuse_keys_of_other_systems(c);
  const System& system = system_of(c.model);
  name_fixed_row(c.model, system);
  check_transfers(c.model, system);
  resolve_training(c.train, system);
  check_accumulation(c.train.accumulate, c.weighting.method);
  if (!system.has_weights()) {
    c.weighting = {};  // there is nothing to weigh
  }
  resolve_weights(c.weighting, system);
  resolve_lambdas(c.loss, system);
  if (system.consistency !=
      Consistency::xtc) {  // align holds transferred predictions to the truth by the direct losses
    const LossSection defaults;
    c.loss.transferred_depth = defaults.transferred_depth;
    c.loss.transferred_segmentation = defaults.transferred_segmentation;
    c.loss.soft_target = defaults.soft_target;
    c.loss.label_smoothing = defaults.label_smoothing;
  }
  if (c.run.name.empty()) {
    const std::string encoder = encoder_of(c.model);
    c.run.name = c.model.system + (encoder == "-" ? "" : "_" + encoder);
    if (system.uses("model.tasks") && system.tasks.size() == 1) {
      c.run.name += fmt::format("_{}", system.tasks.front());
    }
  }
  const bool has_control = std::ranges::any_of(
      c.run.name, [](char letter) { return static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f; });
  if (has_control || c.run.name.find('/') != std::string::npos || c.run.name.front() == '.') {
    fail_usage("run.name must be a plain file name, found \"{}\"", c.run.name);
  }
  if (!c.run.profile.empty() && c.run.profile.back() < c.run.profile.front()) {
    fail_usage("run.profile = [{}] ends before it begins: the first step comes first, then the last, from 1",
               fmt::join(c.run.profile, ", "));
  }
  for (const WeightsKey& weights : weights_keys(c)) {
    if (weights.path.empty() && !weights.digest.empty()) {
      fail_usage("{}_digest is set, but {} names no file", weights.key, weights.key);
    }
  }
  check_teachers(c, system);
  if (encoder_of(c.model) == "-" && !c.model.encoder_weights.empty()) {
    fail_usage("model.encoder_weights says nothing to model.system = \"{}\", which has no ResNet: it is for {}",
               c.model.system, systems_with("model.encoder"));
  }
  if (c.run.precision == Precision::fp64) {
    if (c.run.device == Device::cuda) {
      fail_usage(
          "run.precision = \"fp64\" is for proofs on the CPU: set run.device=cpu, or precision fp32, tf32 or bf16");
    }
    c.run.device = Device::cpu;
  }
}

void read_assignments(const std::vector<std::string>& assignments, const std::vector<Field>& fields) {
  for (const std::string& assignment : assignments) {
    read_assignment(assignment, fields);
  }
}

/// [weighting] of a file under another method than its own: a key at the default of the file's method, as a printed
/// config has it, counts as not given.
WeightingSection under_method(const WeightingSection& of_file, const std::string& method) {
  RunConfig given, usual, result;
  given.weighting = of_file;
  usual.weighting = default_weighting(of_file.method);
  result.weighting = default_weighting(method);
  const auto given_fields = run_fields(given);
  const auto usual_fields = run_fields(usual);
  const auto result_fields = run_fields(result);
  for (std::size_t i = 0; i < given_fields.size(); ++i) {
    const Field& field = given_fields[i];
    if (field.section == "weighting" && field.key != "method" && field.print() != usual_fields[i].print()) {
      read_assignment(fmt::format("weighting.{}={}", field.key, field.print()), result_fields);
    }
  }
  return result.weighting;
}

/// Over the defaults of the rows of the methods that are read. \param read_file  reads the file, where there is one
RunConfig resolved(const std::function<void(const std::vector<Field>&)>& read_file,
                   const std::vector<std::string>& assignments) {
  const auto read_over = [&read_file](RunConfig config) {
    read_file(run_fields(config));
    return config;
  };
  RunConfig config;
  config.weighting = default_weighting(read_over(RunConfig()).weighting.method);
  config = read_over(std::move(config));
  RunConfig assigned = config;
  read_assignments(assignments, run_fields(assigned));
  if (assigned.weighting.method != config.weighting.method) {
    config.weighting = under_method(config.weighting, assigned.weighting.method);
  }
  read_assignments(assignments, run_fields(config));
  resolve(config);
  return config;
}

RunConfig read_config(const std::filesystem::path& file, const std::vector<std::string>& assignments, PathsOf paths) {
  const std::string text = io::read_config_file(file, "a config (TOML)");
  return resolved([&](const std::vector<Field>& fields) { read_toml(text, file.string(), fields, paths); },
                  assignments);
}

}  // namespace

WeightingSection default_weighting(std::string_view method) {
  RunConfig config;
  const std::vector<Field> fields = run_fields(config);
  for (const std::string_view assignment : method_of(method).defaults) {
    read_assignment(fmt::format("weighting.{}", assignment), fields, fmt::format("the row of {}", method));
  }
  config.weighting.method = method;
  return config.weighting;
}

RunConfig read_run_config(const std::filesystem::path& file, const std::vector<std::string>& assignments) {
  return read_config(file, assignments, PathsOf::user);
}

RunConfig read_written_config(const std::filesystem::path& file, const std::vector<std::string>& assignments) {
  return read_config(file, assignments, PathsOf::program);
}

RunConfig run_config_of(const std::vector<std::string>& assignments) {
  return resolved([](const std::vector<Field>& /*fields*/) {}, assignments);
}

void check_key(const std::string& key, const std::string& where) {
  RunConfig scratch;
  check_known_key(key, where, run_fields(scratch));
}

void check_assignment(const std::string& assignment, const std::string& where) {
  RunConfig scratch;
  read_assignment(assignment, run_fields(scratch), where);
}

std::int64_t DataSection::num_held_out(std::int64_t num_images) const {
  return std::llround(holdout * static_cast<double>(num_images));
}

DistillationSection::Teacher DistillationSection::of(std::string_view task) const {
  const auto found = teachers.find(task);
  return found == teachers.end() ? Teacher() : found->second;
}

std::vector<WeightsKey> weights_keys(RunConfig& config) {
  std::vector<WeightsKey> keys = {
      {"model.encoder_weights", config.model.encoder_weights, config.model.encoder_weights_digest}};
  for (const task::Task& task : task::all()) {
    DistillationSection::Teacher& teacher = config.distillation.teachers[std::string(task.key)];
    keys.push_back({fmt::format("distillation.teacher_{}", task.key), teacher.weights, teacher.digest});
  }
  return keys;
}

std::string encoder_of(const ModelSection& model) {
  return system_of(model.system).uses("model.encoder") ? std::string(name(model.encoder)) : "-";
}

int encoder_place_of(const ModelSection& model) {
  return system_of(model.system).uses("model.encoder") ? static_cast<int>(model.encoder) : -1;
}

std::int64_t decoder_width_of(const ModelSection& model) {
  return system_of(model.system).uses("model.decoder_width") ? model.decoder_width : 0;
}

void pin_digest(std::string& pinned, const std::string& found, const std::string& key, const std::string& path) {
  check(pinned.empty() || pinned == found,
        "{} has the content digest {}, but {} = \"{}\" is wanted: it was made anew or is another file; give the right "
        "one, or leave {} out to take this one as another run",
        path, found, key, pinned, key);
  pinned = found;
}

}  // namespace xtasc::config
