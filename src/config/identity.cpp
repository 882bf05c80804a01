#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/run_config.hpp"
#include "config/run_fields.hpp"
#include "core/error.hpp"

namespace xtasc::config {

std::string to_toml(const RunConfig& config, bool documented) {
  RunConfig copy = config;
  std::string text;
  std::string section;
  for (const Field& field : run_fields(copy)) {
    if (field.section != section) {
      section = field.section;
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
    }
    if (documented) {
      text += fmt::format("# {}\n", field.documentation);
    }
    text += fmt::format("{} = {}\n", field.key, field.print());
  }
  return text;
}

std::vector<KeyValue> all_keys(const RunConfig& config) {
  RunConfig copy = config;
  std::vector<KeyValue> keys;
  for (const Field& field : run_fields(copy)) {
    keys.push_back({field.section + "." + field.key, field.print()});
  }
  return keys;
}

std::vector<KeyValue> deciding_keys(const RunConfig& config) {
  RunConfig copy = config;
  std::vector<KeyValue> keys;
  for (const Field& field : run_fields(copy)) {
    if (field.decides_numbers && (!field.counts || field.counts())) {
      keys.push_back({field.section + "." + field.key, field.print()});
    }
  }
  return keys;
}

std::string identity_text(const RunConfig& config) {
  RunConfig defaults;
  const std::string default_method =
      std::exchange(defaults.weighting, default_weighting(config.weighting.method)).method;
  defaults.weighting.method = default_method;
  std::map<std::string, std::string> default_values;
  for (const Field& field : run_fields(defaults)) {
    default_values[field.section + "." + field.key] = field.print();
  }
  std::string text;
  for (const auto& [key, value] : deciding_keys(config)) {
    if (value != default_values.at(key)) {
      text += fmt::format("{} = {}\n", key, value);
    }
  }
  return text;
}

bool is_of_first_ids(const RunConfig& config) {
  return config.data.pack_digest.empty();
}

std::string first_identity_text(const RunConfig& config) {
  static const std::set<std::string> then_too = {"data.pack", "model.encoder_weights", "train.bucket_mib"};
  static const std::set<std::string> not_yet = {"data.pack_digest",
                                                "data.label_share",
                                                "data.one_label",
                                                "data.holdout",
                                                "data.normalise",
                                                "model.encoder_weights_digest",
                                                "model.tasks",
                                                "model.cross_stitch",
                                                "model.adamt_attention",
                                                "model.dropout",
                                                "model.transfer",
                                                "model.transfer_pairs",
                                                "model.transfers_per_task",
                                                "loss.lambda_3",
                                                "weighting.heads",
                                                "weighting.scale",
                                                "weighting.weights",
                                                "weighting.distribution",
                                                "weighting.beta",
                                                "weighting.mu",
                                                "weighting.warm_up_epochs",
                                                "weighting.lambda",
                                                "train.accumulate",
                                                "train.patience",
                                                "train.optimizer",
                                                "train.weight_decay",
                                                "train.momentum",
                                                "train.schedule",
                                                "train.poly_power",
                                                "train.warmup_steps",
                                                "train.clip_norm"};
  RunConfig copy = config;
  std::string text;
  std::set<std::string> changed;
  for_changed_keys_of_methods(config, [&](const Field& field) { changed.insert(field.key); });
  for (const Field& field : run_fields(copy)) {
    const std::string key = field.section + "." + field.key;
    const bool was_there = !not_yet.contains(key) && field.section != "distillation";
    if ((field.decides_numbers || then_too.contains(key)) && was_there &&
        (field.methods.empty() || changed.contains(field.key))) {
      text += fmt::format("{} = {}\n", key, field.print());
    }
  }
  return text;
}

}  // namespace xtasc::config
