#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "config/enums.hpp"

namespace xtasc::config {

// One run, every choice a value. The documentation of each key, its range and its default's reason stand in
// run_config.cpp, where --print-config reads them too.

struct RunSection {
  std::string name;
  std::string output = "results/runs";
  std::int64_t seed = 1;
  Device device = Device::automatic;
  Precision precision = Precision::fp32;
  std::int64_t threads = 0;
  std::int64_t stall_seconds = 900;
};

struct DataSection {
  std::string pack;
  std::string label_set;
  bool flip = true;
  bool scale_crop = true;
  bool verify = false;
};

struct ModelSection {
  System system = System::xtasc;
  Encoder encoder = Encoder::resnet34;
  std::string encoder_weights;
  std::int64_t decoder_width = 128;
  std::vector<std::int64_t> ttnet_widths = {64, 128, 256};
  bool ttnet_batch_norm = false;
};

struct LossSection {
  DepthLoss depth = DepthLoss::l1;
  TransferredDepthLoss transferred_depth = TransferredDepthLoss::l1;
  TransferredSegmentationLoss transferred_segmentation = TransferredSegmentationLoss::cross;
  bool soft_target = false;
  double label_smoothing = 0.0;
  double lambda_1 = 0.01;
  double lambda_2 = 0.01;
};

struct WeightingSection {
  Weighting method = Weighting::equal;
  WeightedParameters parameters = WeightedParameters::shared;
  double regulariser = 1.0;
  double learning_rate = 0.0;
  double alpha = 0.16;
  double temperature = 2.0;
  double c = 0.4;
  std::int64_t rescale = 1;
  GradientNormalisation normalisation = GradientNormalisation::none;
  double weight_decay = 0.001;
  double max_norm = 1.0;
};

struct TrainSection {
  std::int64_t epochs = 250;
  std::int64_t batch_size = 8;
  std::int64_t max_steps = 0;
  double learning_rate = 1e-4;
  std::vector<double> betas;
  std::int64_t lr_step = 80;
  double lr_gamma = 0.5;
  bool deterministic = true;
  bool rewrites = true;
  bool activation_checkpointing = false;
  double bucket_mib = 32.0;
  bool cuda_graph = false;
};

struct EvaluateSection {
  std::int64_t batch_size = 8;
};

struct RunConfig {
  RunSection run;
  DataSection data;
  ModelSection model;
  LossSection loss;
  WeightingSection weighting;
  TrainSection train;
  EvaluateSection evaluate;
};

/// Reads a config file and then the `--set` assignments ("section.key=value") over the defaults, and resolves what
/// depends on other keys (betas, name, lambdas of systems without transfer nets).
/// \throws Error (exit code 2) with file, line, column and the nearest known key or the accepted values; also when a
/// key of [weighting] is set that the chosen method does not use.
[[nodiscard]] RunConfig read_run_config(const std::filesystem::path& file,
                                        const std::vector<std::string>& assignments = {});

/// As read_run_config, from the defaults and assignments alone.
[[nodiscard]] RunConfig run_config_of(const std::vector<std::string>& assignments);

/// \throws Error (exit code 2) unless a config has this "section.key". \param where  what the message begins with
void check_key(const std::string& key, const std::string& where);

/// \throws Error (exit code 2) unless a config takes "section.key=value", taken alone. \param where  what the message
/// begins with, e.g. "sweeps/table_I.toml:12:5"
void check_assignment(const std::string& assignment, const std::string& where);

/// The config as a TOML file that reads back to the same values. \param documented  with each key's documentation above
/// it
[[nodiscard]] std::string to_toml(const RunConfig& config, bool documented);

/// The config's lines that decide a run's numbers: all but where its files go and how many threads compute them. A key
/// that belongs to some weighting methods is there when the method uses it and it differs from its default.
[[nodiscard]] std::string identity_text(const RunConfig& config);

}  // namespace xtasc::config
