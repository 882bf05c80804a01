// xtasc-evaluate: losses and both metric protocols of a trained net on a pack.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/cli.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/text_table.hpp"
#include "core/user_path.hpp"
#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "io/atomic_file.hpp"
#include "launch/common/model_source.hpp"
#include "launch/common/ranks.hpp"
#include "pack/reader.hpp"
#include "run/has_tasks.hpp"
#include "train/agreement.hpp"
#include "train/evaluate.hpp"
#include "train/health.hpp"
#include "train/out_of_memory.hpp"

namespace {

using namespace xtasc;

struct Options {
  launch::ModelSource model;
  std::string pack, json, split = "val";
};

nlohmann::json to_json(const train::Evaluation& evaluation, const std::vector<std::string>& class_names) {
  nlohmann::json by_class = nlohmann::json::object();
  for (std::size_t i = 0; i < evaluation.report.class_iou.size(); ++i) {
    const auto& iou = evaluation.report.class_iou[i];
    by_class[class_names[i]] = iou ? nlohmann::json(*iou) : nlohmann::json();
  }
  return {{"losses", evaluation.losses},
          {"paper", evaluation.report.paper},
          {"dataset", evaluation.report.dataset},
          {"consistency", evaluation.consistency},
          {"class_iou", by_class}};
}

void print_report(const train::Evaluation& evaluation, const std::vector<std::string>& class_names) {
  const auto digits = [](double value) { return fmt::format("{:.6f}", value); };
  std::vector<std::vector<std::string>> cells = {{"metric", "paper", "dataset"}};
  for (const auto& [name, value] : evaluation.report.paper) {
    cells.push_back({name, digits(value), digits(evaluation.report.dataset.at(name))});
  }
  cells.emplace_back();
  for (const auto& [name, value] : evaluation.losses) {
    cells.push_back({"loss." + name, digits(value)});
  }
  if (!evaluation.consistency.empty()) {
    cells.emplace_back();
  }
  for (const auto& [name, value] : evaluation.consistency) {
    cells.push_back({"consistency." + name, digits(value)});
  }
  fmt::print("{}", text_table(cells, 1));
  if (evaluation.report.class_iou.empty()) {
    return;
  }
  cells = {{"class", "IoU, dataset protocol"}};
  for (std::size_t i = 0; i < evaluation.report.class_iou.size(); ++i) {
    const auto& iou = evaluation.report.class_iou[i];
    cells.push_back({class_names[i], iou ? fmt::format("{:.4f}", *iou) : "never occurs"});
  }
  fmt::print("\n{}", text_table(cells));
}

void evaluate(const dist::MpiSession& session, const Options& options, ProgramWatch& watch) {
  const launch::LoadedModel model = launch::load_model(options.model, session, &watch);
  const std::string pack_path = options.pack.empty() ? model.config.data.pack : options.pack;
  if (pack_path.empty()) {
    fail_usage("--pack is needed: the config names no pack");
  }
  watch.beat("opening the pack");
  pack::Reader reader(pack_path);
  reader.set_on_part([&watch] { watch.beat("reading the pack"); });
  const std::size_t label_set = pack::find_label_set(reader.schema(), model.config.data.label_set);
  const auto& class_names = reader.schema().label_sets[label_set].class_names;
  run::check_has_tasks(pack::label_keys(reader.schema()), model.config.model, pack_path);
  const std::int64_t num_classes = model.learner->net.num_classes();
  if (num_classes != 0 && num_classes != static_cast<std::int64_t>(class_names.size())) {
    fail_usage("{} predicts {} classes, {} has {} in {}", model.weights_path.string(), num_classes, pack_path,
               class_names.size(), reader.schema().label_sets[label_set].name);
  }
  const auto split = options.split == "val" ? pack::Split::val : pack::Split::train;
  std::vector<train::Claim> claims = train::pack_claims(reader);
  claims.push_back({"--split", options.split});
  train::check_agreement(session, claims, "every rank must read a copy of the same pack, by the same command line");
  launch::tell_of_other_pack(model, options.pack, reader);
  const data::Dataset dataset = data::read_split(reader, split, {label_set, model.config.data.normalise}, model.device);
  const auto communicator = dist::make_communicator(session, model.device.type(), train::sharing_of(model.config.run));
  Progress progress("evaluating", dataset.size());
  watch.beat("evaluation before image", 1);
  const train::Evaluation evaluation =
      train::evaluate(model.config, *model.learner, dataset, *communicator, [&](std::int64_t images) {
        watch.beat("evaluation before image", images + 1);
        progress.update(std::min(images * session.size(), dataset.size()), "images");
      });
  watch.beat("its last words");
  const std::string fault = train::first_not_finite(evaluation);
  check(fault.empty(), "{} on {}: the {}", model.weights_path.string(), pack_path, fault);
  if (session.rank() != 0) {
    return;
  }
  fmt::print("{} on {} ({}, {} images)\n\n", model.weights_path.string(), pack_path, options.split, dataset.size());
  print_report(evaluation, class_names);
  if (!options.json.empty()) {
    nlohmann::json json = to_json(evaluation, class_names);
    json["weights"] = model.weights_path.string();
    json["pack"] = pack_path;
    json["pack_digest"] = reader.schema().content_digest;
    json["split"] = options.split;
    json["images"] = dataset.size();
    watch.beat("writing " + options.json);
    io::write_file_atomically(options.json, json.dump(2) + "\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  launch::Ranks ranks({.program = "xtasc-evaluate"});
  CLI::App app("Losses and both metric protocols of a trained net on a pack: [mpirun -np N] xtasc-evaluate --run DIR",
               "xtasc-evaluate");
  Options options;
  launch::add_model_options(app, options.model);
  app.add_option("--pack", options.pack, "The pack (.h5); default: the one of the config");
  app.add_option("--split", options.split, "Which images")
      ->capture_default_str()
      ->check(CLI::IsMember({"val", "train"}));
  app.add_option("--json", options.json, "Also write everything to this file");
  return run_program(
      app, argc, argv,
      [&] {
        launch::watch_by_config(options.model, ranks.watch());
        if (!options.json.empty()) {
          io::check_can_write(options.json);
        }
        require_input("--pack", options.pack);
        evaluate(ranks.start(&argc, &argv), options, ranks.watch());
        return ExitCode::success;
      },
      ranks.error_hooks(train::out_of_memory_error));
}
