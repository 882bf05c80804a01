#include "launch/bench/peer_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

namespace xtasc::launch {

namespace {

/// What the peer is told.
constexpr std::array<std::string_view, 32> kFollowed = {"model.system",
                                                        "model.tasks",
                                                        "model.transfer",
                                                        "model.transfer_pairs",
                                                        "model.adamt_attention",
                                                        "model.dropout",
                                                        "distillation.weight_seg",
                                                        "distillation.weight_depth",
                                                        "distillation.weight_normals",
                                                        "distillation.adaptor_learning_rate",
                                                        "distillation.adaptor_weight_decay",
                                                        "distillation.teacher_batch_norm",
                                                        "model.cross_stitch",
                                                        "model.encoder",
                                                        "model.decoder_width",
                                                        "model.ttnet_widths",
                                                        "model.ttnet_batch_norm",
                                                        "loss.depth",
                                                        "loss.transferred_depth",
                                                        "loss.transferred_segmentation",
                                                        "loss.soft_target",
                                                        "loss.label_smoothing",
                                                        "loss.lambda_1",
                                                        "loss.lambda_2",
                                                        "loss.lambda_3",
                                                        "run.precision",
                                                        "train.optimizer",
                                                        "train.learning_rate",
                                                        "train.weight_decay",
                                                        "train.momentum",
                                                        "train.betas",
                                                        "train.clip_norm"};

/// What reaches the peer with the weights and the samples, or is not at work in the steps that are timed.
constexpr std::array<std::string_view, 20> kWithoutMeaning = {"run.seed",
                                                              "run.device",
                                                              "data.pack_digest",
                                                              "data.label_set",
                                                              "data.flip",
                                                              "data.scale_crop",
                                                              "data.holdout",
                                                              "data.normalise",
                                                              "model.encoder_weights_digest",
                                                              "train.epochs",
                                                              "train.batch_size",
                                                              "train.max_steps",
                                                              "train.patience",
                                                              "train.schedule",
                                                              "train.lr_step",
                                                              "train.lr_gamma",
                                                              "train.poly_power",
                                                              "train.warmup_steps",
                                                              "train.deterministic",
                                                              "evaluate.batch_size"};

template <std::size_t kSize>
bool holds(const std::array<std::string_view, kSize>& keys, const std::string& key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// Is the peer told this one? Not that every step draws its transfers: a captured step could not follow.
bool is_followed(const config::KeyValue& found) {
  return holds(kFollowed, found.key) && found.value != "\"sample\"";
}

}  // namespace

nlohmann::json peer_options(const config::RunConfig& config) {
  nlohmann::json options;
  for (const config::KeyValue& found : config::deciding_keys(config)) {
    if (is_followed(found)) {  // such values are the same in TOML
      options[found.key.substr(found.key.find('.') + 1)] = nlohmann::json::parse(found.value);
    }
  }
  return options;
}

std::vector<std::string> not_followed_by_peer(const config::RunConfig& config) {
  std::vector<std::string> assignments;
  for (const config::KeyValue& found : config::deciding_keys(config)) {
    if (is_followed(found)) {
      assignments.push_back(found.key + "=" + found.value);
    }
  }
  const std::vector<config::KeyValue> same = config::deciding_keys(config::run_config_of(assignments));
  const std::string off_default = fmt::format("\n{}", config::identity_text(config));
  std::vector<std::string> others;
  for (const config::KeyValue& found : config::deciding_keys(config)) {
    const std::string line = fmt::format("{} = {}", found.key, found.value);
    if (off_default.find(fmt::format("\n{}\n", line)) != std::string::npos && !holds(kWithoutMeaning, found.key) &&
        std::find(same.begin(), same.end(), found) == same.end()) {
      others.push_back(line);
    }
  }
  return others;
}

}  // namespace xtasc::launch
