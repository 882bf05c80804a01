#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/enums.hpp"

namespace xtasc::config {

// One run, every choice a value. The documentation of each key, its range and its default's reason stand in
// run_config.cpp, where --print-config reads them too.

/// [run]: name, place, seed, device and precision.
struct RunSection {
  std::string name;
  std::string output = "results/runs";
  std::int64_t seed = 1;
  Device device = Device::automatic;
  Precision precision = Precision::fp32;
  std::int64_t threads = 0;
  std::int64_t stall_seconds = 900;
  bool share_gpu = false;
  bool tensorboard = false;
  std::int64_t tensorboard_panels = 10;
  double peak_tflops = 0.0;
  std::vector<std::int64_t> profile;  ///< first and last step, from 1; none: no trace
};

/// [data]: the pack, and what is done to its samples.
struct DataSection {
  std::string pack;
  std::string pack_digest;
  std::string label_set;
  bool flip = true;
  bool scale_crop = true;
  double label_share = 1.0;
  bool one_label = false;
  double holdout = 0.0;
  bool normalise = true;
  bool verify = false;

  /// Of so many training images those that are held out: the nearest whole number to their share.
  [[nodiscard]] std::int64_t num_held_out(std::int64_t num_images) const;
};

/// [model]: the system and its layers.
struct ModelSection {
  std::string system = "xtasc";  ///< a word of systems()
  std::vector<std::string> tasks = {"segmentation", "depth"};
  CrossStitchForm cross_stitch = CrossStitchForm::mtan;
  AdamtAttention adamt_attention = AdamtAttention::shared;
  double dropout = 0.5;
  TransferScheme transfer = TransferScheme::pairs;
  std::vector<std::string> transfer_pairs = {};  ///< "seg>depth"
  std::int64_t transfers_per_task = 1;
  Encoder encoder = Encoder::resnet34;
  std::string encoder_weights;
  std::string encoder_weights_digest;
  std::int64_t decoder_width = 128;
  std::vector<std::int64_t> ttnet_widths = {64, 128, 256};
  bool ttnet_batch_norm = false;
};

/// [loss]: what predictions are held to.
struct LossSection {
  DepthLoss depth = DepthLoss::l1;
  TransferredDepthLoss transferred_depth = TransferredDepthLoss::l1;
  TransferredSegmentationLoss transferred_segmentation = TransferredSegmentationLoss::cross;
  bool soft_target = false;
  double label_smoothing = 0.0;
  double lambda_1 = 0.01;
  double lambda_2 = 0.01;
  double lambda_3 = kAsLambda2;

  static constexpr double kAsLambda2 = -1.0;
  /// Of the task at this place among the system's.
  [[nodiscard]] double lambda_of(std::size_t task) const {
    return task == 0 ? lambda_1 : task == 1 || lambda_3 == kAsLambda2 ? lambda_2 : lambda_3;
  }
};

/// [distillation]: what a student learns from, beside the truth.
struct DistillationSection {
  /// Of one task: a net that has only that one.
  struct Teacher {
    std::string weights, digest;  ///< teacher_KEY, teacher_KEY_digest
    double weight = 1.0;          ///< weight_KEY
  };
  std::map<std::string, Teacher, std::less<>> teachers;  ///< by the task's key; every task's after reading
  TeacherBatchNorm teacher_batch_norm = TeacherBatchNorm::evaluate;
  double adaptor_learning_rate = 0.1;
  double adaptor_weight_decay = 5e-4;

  /// That of the defaults for a task that was never read.
  [[nodiscard]] Teacher of(std::string_view task) const;
};

/// [weighting]: how the tasks' losses become one gradient.
struct WeightingSection {
  std::string method = "equal";  ///< a word of methods()
  WeightedParameters parameters = WeightedParameters::shared;
  CombinedLosses losses = CombinedLosses::plain;
  HeadGradients heads = HeadGradients::plain;
  FactorScale scale = FactorScale::sum;
  std::vector<double> weights;  ///< (T); none: 1 each
  WeightDistribution distribution = WeightDistribution::normal;
  double regulariser = 1.0;
  double learning_rate = 0.0;
  double alpha = 0.16;
  double beta = 0.5;
  double temperature = 2.0;
  double mu = 1.0;
  std::int64_t warm_up_epochs = 4;
  double lambda = 0.3;
  double c = 0.4;
  std::int64_t rescale = 1;
  GradientNormalisation normalisation = GradientNormalisation::none;
  double weight_decay = 0.001;
  double max_norm = 1.0;
};

/// [train]: length, optimizer, and the forms of a step.
struct TrainSection {
  std::int64_t epochs = 250;
  std::int64_t batch_size = 8;
  std::int64_t accumulate = 1;
  std::int64_t max_steps = 0;
  std::int64_t patience = 0;
  Optimizer optimizer = Optimizer::adam;
  double learning_rate = 1e-4;
  double weight_decay = 0.0;
  double momentum = 0.9;
  std::vector<double> betas;
  Schedule schedule = Schedule::step;
  std::int64_t lr_step = 80;
  double lr_gamma = 0.5;
  double poly_power = 0.9;
  std::int64_t warmup_steps = 0;
  double clip_norm = 0.0;
  bool deterministic = true;
  bool rewrites = true;
  bool pad_channels = false;
  bool activation_checkpointing = false;
  double bucket_mib = 32.0;
  bool cuda_graph = false;
};

/// [evaluate].
struct EvaluateSection {
  std::int64_t batch_size = 8;
};

/// One run.
struct RunConfig {
  RunSection run;
  DataSection data;
  ModelSection model;
  LossSection loss;
  DistillationSection distillation;
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

/// As read_run_config, of a config.toml that a program wrote: its paths mean what they say, "~" too.
[[nodiscard]] RunConfig read_written_config(const std::filesystem::path& file,
                                            const std::vector<std::string>& assignments = {});

/// As read_run_config, from the defaults and assignments alone.
[[nodiscard]] RunConfig run_config_of(const std::vector<std::string>& assignments);

/// [weighting] of a method whose keys nobody set, as its row says. \throws Error when there is no such word
[[nodiscard]] WeightingSection default_weighting(std::string_view method);

/// The word of the encoder; "-" for a system that is not made with one.
[[nodiscard]] std::string encoder_of(const ModelSection& model);
/// Where it stands among the encoders; before all for a system without one.
[[nodiscard]] int encoder_place_of(const ModelSection& model);
/// 0 for a system that has no such decoders.
[[nodiscard]] std::int64_t decoder_width_of(const ModelSection& model);

/// \throws Error (exit code 2) unless a config has this "section.key". \param where  what the message begins with
void check_key(const std::string& key, const std::string& where);

/// \throws Error (exit code 2) unless a config takes "section.key=value", taken alone. \param where  what the message
/// begins with, e.g. "sweeps/table_I.toml:12:5"
void check_assignment(const std::string& assignment, const std::string& where);

/// The config as a TOML file that reads back to the same values. \param documented  with each key's documentation above
/// it
[[nodiscard]] std::string to_toml(const RunConfig& config, bool documented);

/// One key of a config, "section.key", and its value as TOML.
struct KeyValue {
  std::string key, value;
  bool operator==(const KeyValue&) const = default;
};

/// Every key, in the order in which it is printed.
[[nodiscard]] std::vector<KeyValue> all_keys(const RunConfig& config);

/// The keys that decide a run's numbers and say something to this run, with their values: all but where files lie, how
/// many threads compute, and what the system, the weighting method or the precision does not look at.
[[nodiscard]] std::vector<KeyValue> deciding_keys(const RunConfig& config);

/// What a run is known by: deciding_keys(), a line each, without those at their defaults. So a key that is added later
/// renames no run that leaves it alone. A default that stands here may never change (a test holds them all).
[[nodiscard]] std::string identity_text(const RunConfig& config);

/// Whether a config.toml was written before runs were known by what their files hold: it names no digest of its pack.
[[nodiscard]] bool is_of_first_ids(const RunConfig& config);
/// What such a run was known by: every key, and its files by their paths.
[[nodiscard]] std::string first_identity_text(const RunConfig& config);

/// A key that names weights to start or to learn from, and the one that says what they must be.
struct WeightsKey {
  std::string key;      ///< "model.encoder_weights"; the digest's is key + "_digest"
  std::string& path;    ///< empty: none
  std::string& digest;  ///< see pin_digest(); empty: as they are
};
/// Of a config, in the order in which they are printed; they refer into it.
[[nodiscard]] std::vector<WeightsKey> weights_keys(RunConfig& config);

/// Writes the digest of a file's content into a config, or compares it with the one that stands there already.
/// \param key  of the digest, for the message: "data.pack_digest" \param path  of the file \throws Error naming both
void pin_digest(std::string& pinned, const std::string& found, const std::string& key, const std::string& path);

}  // namespace xtasc::config
