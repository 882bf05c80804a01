#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/progress.hpp"
#include "core/user_path.hpp"
#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "io/atomic_file.hpp"
#include "launch/inspect/inspect.hpp"
#include "launch/inspect/proposition_report.hpp"
#include "pack/reader.hpp"
#include "train/agreement.hpp"
#include "train/evaluate.hpp"

namespace xtasc::launch {

namespace {

constexpr std::int64_t kNumDraws = 1000;
constexpr std::uint64_t kDrawSeed = 1;  // the same for all runs: their replicates are paired

/// One a pair of tasks, in the order of the net's transfers.
using Sides = std::vector<analysis::Proposition>;

LoadedModel load_with_transfer_nets(const ModelSource& source, const dist::MpiSession& session) {
  LoadedModel model = load_model(source, session);
  const config::System& system = config::system_of(model.config.model);
  if (!system.has_transfer()) {
    fail_usage("{}: {} has no task-transfer nets, of which the Proposition speaks; xtasc or align is needed",
               model.weights_path.string(), system.word);
  }
  return model;
}

/// Index of the label set that the model predicts.
std::size_t label_set_of(const LoadedModel& model, const pack::Schema& schema) {
  const std::size_t index = pack::find_label_set(schema, model.config.data.label_set);
  const auto& set = schema.label_sets[index];
  const auto num_classes = static_cast<std::int64_t>(set.class_names.size());
  if (model.learner->net.num_classes() != num_classes) {
    fail_usage("{} predicts {} classes, the pack has {} in {}", model.weights_path.string(),
               model.learner->net.num_classes(), num_classes, set.name);
  }
  return index;
}

/// Every image once, batches dealt out to the ranks in turn; running statistics, images as stored.
Sides measure(const LoadedModel& model, const data::Dataset& dataset, dist::Communicator& communicator) {
  const c10::NoGradGuard no_grad;
  const train::Learner& learner = *model.learner;
  const model::Mode mode = {.training = false, .compute = learner.types.compute};
  Sides sides;
  for (const auto& [from, to] : train::pairs_of(learner.net)) {
    sides.emplace_back(dataset.size(), to.kind, to.num_channels(learner.net.num_classes()), model.device);
  }
  Progress progress(fmt::format("measuring {}", model.config.model.system), dataset.size());
  const std::int64_t batch_size = model.config.evaluate.batch_size;
  const std::int64_t num_batches = data::steps_per_epoch(dataset.size(), batch_size);
  for (std::int64_t index = communicator.rank(); index < num_batches; index += communicator.size()) {
    const data::Range range = data::global_batch(index, batch_size, dataset.size());
    std::vector<std::int64_t> samples(static_cast<std::size_t>(range.size()));
    std::iota(samples.begin(), samples.end(), range.begin);
    const data::Batch batch = dataset.batch(samples);
    const model::Predictions predictions = learner.net.forward(batch.image_n3hw, mode);
    for (std::size_t i = 0; i < sides.size(); ++i) {
      const auto& [transfer, prediction] = predictions.transferred[i];
      const at::Tensor direct = predictions.of(transfer.to);
      sides[i].add(range.begin, analysis::side_of(task::of_key(transfer.to).kind,
                                                  {direct, prediction, batch.truth_of(transfer.to)}));
    }
    progress.update(range.end, "images");
  }
  const auto sum = [&](const at::Tensor& tensor) { communicator.sum(tensor); };
  for (analysis::Proposition& side : sides) {
    side.sum_over_ranks(sum);
  }
  return sides;
}

}  // namespace

void inspect_consistency(const dist::MpiSession& session, const ConsistencyOptions& options) {
  if (!options.json.empty() && session.rank() == 0) {
    io::check_can_write(options.json);
  }
  std::vector<LoadedModel> models;
  models.push_back(load_with_transfer_nets(options.model, session));
  if (!options.against.empty()) {
    models.push_back(load_with_transfer_nets({.run = options.against,
                                              .config = {},
                                              .weights = {},
                                              .checkpoint = options.model.checkpoint,
                                              .assignments = options.model.assignments},
                                             session));
  }
  const std::string& system = models.front().config.model.system;
  if (models.size() == 2 && models.back().config.model.system == system) {
    fail_usage("--against: both runs are of {}; one of xtasc and one of align are compared", system);
  }
  if (models.size() == 2 && models.front().learner->net.transfers() != models.back().learner->net.transfers()) {
    fail_usage("--against: the two runs predict different tasks from each other");
  }
  require_input("--pack", options.pack);
  const std::string pack_path = options.pack.empty() ? models.front().config.data.pack : options.pack;
  if (pack_path.empty()) {
    fail_usage("--pack is needed: the config names no pack");
  }
  const pack::Reader reader(pack_path);
  const std::size_t label_set = label_set_of(models.front(), reader.schema());
  for (const LoadedModel& model : models) {
    if (label_set_of(model, reader.schema()) != label_set) {
      fail_usage("--against: the runs predict different label sets of {}", pack_path);
    }
    if (model.config.data.normalise != models.front().config.data.normalise) {
      fail_usage("--against: one run was trained with data.normalise = true, the other with false");
    }
  }
  const auto split = options.split == "val" ? pack::Split::val : pack::Split::train;
  const at::Device device = models.front().device;
  train::check_agreement(session, train::pack_claims(reader), "every rank must read a copy of the same pack");
  tell_of_other_pack(models.front(), options.pack, reader);
  const data::Dataset dataset =
      data::read_split(reader, split, {label_set, models.front().config.data.normalise}, device);
  const auto communicator = dist::make_communicator(session, device.type());

  std::vector<Sides> measured;
  for (const LoadedModel& model : models) {
    measured.push_back(measure(model, dataset, *communicator));
  }
  if (session.rank() != 0) {
    return;
  }
  nlohmann::json json = {{"pack", pack_path},
                         {"pack_digest", reader.schema().content_digest},
                         {"split", options.split},
                         {"bootstrap_draws", kNumDraws},
                         {"runs", nlohmann::json::array()},
                         {"sides", nlohmann::json::array()}};
  for (const LoadedModel& model : models) {
    const auto name = model.config.model.system;
    fmt::print("{:<6} {} (predictor {})\n", name, model.weights_path.string(),
               predictor_name(model.config.model.system));
    json["runs"].push_back({{"system", name}, {"weights", model.weights_path.string()}});
  }
  fmt::print("on {} ({}, {} images); 95 % intervals from {} bootstrap draws of images\n", pack_path, options.split,
             dataset.size(), kNumDraws);
  const std::vector<Side> pairs = train::pairs_of(models.front().learner->net);
  for (std::size_t k = 0; k < pairs.size(); ++k) {
    std::vector<MeasuredRun> runs;
    for (std::size_t i = 0; i < models.size(); ++i) {
      if (auto figures = measured[i][k].figures(kNumDraws, kDrawSeed)) {
        runs.push_back({models[i].config, std::move(*figures)});
      }
    }
    if (runs.empty()) {
      fmt::print("\n{}: no pixel with known truth\n", pairs[k].to.name);
      continue;
    }
    const SideReport report = judge(pairs[k], runs);
    print(report);
    json["sides"].push_back(to_json(report));
  }
  if (!options.json.empty()) {
    io::write_file_atomically(options.json, json.dump(2) + "\n");
  }
}

}  // namespace xtasc::launch
