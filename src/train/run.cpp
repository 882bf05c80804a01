#include "train/run.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <type_traits>

#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/signals.hpp"
#include "core/version.hpp"
#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "io/atomic_file.hpp"
#include "pack/reader.hpp"
#include "results/metrics_log.hpp"
#include "results/provenance.hpp"
#include "results/run_folder.hpp"
#include "results/run_id.hpp"
#include "train/captured_step.hpp"
#include "train/checkpoint.hpp"
#include "train/evaluate.hpp"
#include "train/setup.hpp"
#include "train/step.hpp"
#include "train/weights.hpp"

namespace xtasc::train {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Losses are read from the device for the eye, not for the training: rarely, since reading waits for the device.
constexpr std::int64_t kStepsBetweenReadings = 10;

/// The parts of a run that live as long as it does.
struct Run {
  const dist::MpiSession& session;
  const config::RunConfig& config;
  results::RunFolder folder;
  at::Device device;
  std::unique_ptr<dist::Communicator> communicator;
  pack::Reader pack;
  data::Dataset train, val;
  Learner learner;
  RunIdentity identity;
  Checkpoint last, best;

  [[nodiscard]] bool is_first() const { return session.rank() == 0; }
};

void check_finite(const at::Tensor& losses, const Progress& progress) {
  for (std::int64_t i = 0; i < kNumLosses; ++i) {
    const double value = losses[i].item<double>();
    check(std::isfinite(value),
          "the {} loss is {} at step {} (epoch {}): training diverged; try a lower train.learning_rate, or fp32 "
          "instead of bf16",
          loss_name(i), value, progress.step + 1, progress.epoch + 1);
  }
}

/// This rank's part of global batch `step` of the epoch, augmented.
data::Batch next_batch(const Run& run, const Progress& progress, const std::vector<std::int64_t>& order) {
  const auto& config = run.config;
  const data::Range whole = data::global_batch(progress.step_in_epoch, config.train.batch_size, run.train.size());
  const data::Range mine = data::share_of(whole, run.session.rank(), run.session.size());
  const data::AugmentationOptions options = {.flip = config.data.flip, .scale_crop = config.data.scale_crop};
  std::vector<std::int64_t> samples(order.begin() + mine.begin, order.begin() + mine.end);
  std::vector<data::Augmentation> augmentations;
  for (const std::int64_t sample : samples) {
    augmentations.push_back(data::draw_augmentation(options, static_cast<std::uint64_t>(config.run.seed),
                                                    progress.epoch, sample, run.train.height(), run.train.width()));
  }
  return run.train.batch(samples, augmentations);
}

double learning_rate(const config::TrainSection& train, std::int64_t epoch) {
  return train.learning_rate * std::pow(train.lr_gamma, static_cast<double>(epoch / train.lr_step));
}

bool reached_max_steps(const config::TrainSection& train, const Progress& progress) {
  return train.max_steps > 0 && progress.step >= train.max_steps;
}

std::string loss_text(const at::Tensor& losses, const config::System system) {
  std::string text = fmt::format("loss {:.4f}", losses[kTotal].item<double>());
  if (config::has_segmentation(system)) {
    text += fmt::format(" seg {:.4f}", losses[kSeg].item<double>());
  }
  if (config::has_depth(system)) {
    text += fmt::format(" depth {:.4f}", losses[kDepth].item<double>());
  }
  return text;
}

template <std::size_t size>
at::Tensor on_device(const std::array<double, size>& values, at::Device device) {
  return at::tensor(std::vector<double>(values.begin(), values.end()), at::kDouble).to(device);
}

template <std::size_t size>
void to_host(const at::Tensor& tensor, std::array<double, size>& values) {
  const at::Tensor on_host = tensor.to(at::kCPU);
  std::copy_n(on_host.const_data_ptr<double>(), size, values.begin());
}

/// Trains from progress.step_in_epoch to the end of the epoch. \returns the signal that stopped it, or 0
int train_epoch(const Run& run, CapturedStep& step, Progress& progress) {
  const auto& train = run.config.train;
  const auto order =
      data::epoch_order(static_cast<std::uint64_t>(run.config.run.seed), progress.epoch, run.train.size());
  const std::int64_t num_steps = data::steps_per_epoch(run.train.size(), train.batch_size);
  const Clock::time_point start = Clock::now();
  const double seconds_before = progress.epoch_seconds;
  const std::int64_t images_before = progress.epoch_images;
  const at::Tensor loss_sums = on_device(progress.epoch_loss_sums, run.device);
  const at::Tensor weight_sums = on_device(progress.epoch_weight_sums, run.device);
  xtasc::Progress live(fmt::format("epoch {}/{} step", progress.epoch + 1, train.epochs), num_steps);
  std::string losses_text;
  int signal = 0;

  while (progress.step_in_epoch < num_steps && !reached_max_steps(train, progress)) {
    signal = static_cast<int>(run.session.max(stop_signal()));
    if (signal != 0) {
      break;
    }
    const std::int64_t images = data::global_batch(progress.step_in_epoch, train.batch_size, run.train.size()).size();
    const StepResult result = step.run(next_batch(run, progress, order), images, {progress.epoch, progress.step},
                                       learning_rate(train, progress.epoch));
    if (progress.step_in_epoch % kStepsBetweenReadings == 0) {
      check_finite(result.losses, progress);
      losses_text = loss_text(result.losses, run.config.model.system);
    }
    loss_sums.add_(result.losses * static_cast<double>(images));
    weight_sums.add_(result.task_weights * static_cast<double>(images));
    progress.epoch_images += images;
    ++progress.step_in_epoch;
    ++progress.step;
    const double rate = static_cast<double>(progress.epoch_images - images_before) / seconds_since(start);
    live.update(progress.step_in_epoch, fmt::format("{}, {:.1f} images/s", losses_text, rate));
  }

  to_host(loss_sums, progress.epoch_loss_sums);
  to_host(weight_sums, progress.epoch_weight_sums);
  progress.epoch_seconds = seconds_before + seconds_since(start);
  return signal;
}

std::map<std::string, double> mean_train_losses(const Progress& progress, config::System system) {
  std::map<std::string, double> losses;
  for (std::int64_t i = 0; i < kNumLosses; ++i) {
    const bool is_trained = i == kTotal || (i == kSeg && config::has_segmentation(system)) ||
                            (i == kDepth && config::has_depth(system)) ||
                            ((i == kSegToDepth || i == kDepthToSeg) && config::has_transfer(system));
    if (is_trained && progress.epoch_images > 0) {
      losses[loss_name(i)] =
          progress.epoch_loss_sums[static_cast<std::size_t>(i)] / static_cast<double>(progress.epoch_images);
    }
  }
  return losses;
}

std::string epoch_text(const results::EpochRecord& record, std::int64_t epochs) {
  std::string text = fmt::format("epoch {}/{}: train loss {:.4f}, val loss {:.4f}", record.epoch, epochs,
                                 record.train_loss.at("total"), record.val_loss.at("total"));
  for (const auto& [key, label, factor] : {std::tuple{"miou", "mIoU", 100.0},
                                           {"pix_acc", "PixAcc", 100.0},
                                           {"abs_err", "AbsErr", 1.0},
                                           {"rel_err", "RelErr", 1.0}}) {
    if (const auto found = record.paper.find(key); found != record.paper.end()) {
      text += fmt::format(", {} {:.{}f}", label, found->second * factor, factor > 1.0 ? 2 : 4);
    }
  }
  return text + fmt::format(", {:.1f} images/s{}", record.images_per_second, record.is_best ? ", best so far" : "");
}

/// The mean weights of the epoch; empty for a single task.
std::map<std::string, double> mean_task_weights(const Progress& progress, config::System system) {
  if (!config::has_segmentation(system) || !config::has_depth(system) || progress.epoch_images == 0) {
    return {};
  }
  const auto images = static_cast<double>(progress.epoch_images);
  return {{"seg", progress.epoch_weight_sums[weighting::kSegmentation] / images},
          {"depth", progress.epoch_weight_sums[weighting::kDepth] / images}};
}

/// Evaluates, logs and checkpoints the epoch that just ended, and moves progress to the next.
void finish_epoch(const Run& run, Progress& progress) {
  const Clock::time_point evaluation_start = Clock::now();
  xtasc::Progress live(fmt::format("epoch {} evaluating", progress.epoch + 1), run.val.size());
  const Evaluation evaluation = evaluate(run.config, run.learner, run.val, *run.communicator, [&](std::int64_t images) {
    live.update(std::min(images * run.session.size(), run.val.size()), "images");
  });
  const double evaluation_seconds = seconds_since(evaluation_start);

  const double val_loss = evaluation.losses.at("total");
  results::EpochRecord record{.epoch = progress.epoch + 1,
                              .step = progress.step,
                              .learning_rate = learning_rate(run.config.train, progress.epoch),
                              .train_loss = mean_train_losses(progress, run.config.model.system),
                              .val_loss = evaluation.losses,
                              .task_weight = mean_task_weights(progress, run.config.model.system),
                              .paper = evaluation.report.paper,
                              .dataset = evaluation.report.dataset,
                              .consistency = evaluation.consistency,
                              .class_iou = evaluation.report.class_iou,
                              .is_best = val_loss < progress.best_val_loss,
                              .images_per_second = static_cast<double>(progress.epoch_images) / progress.epoch_seconds,
                              .seconds = {{"train", progress.epoch_seconds}, {"evaluate", evaluation_seconds}}};
  check(std::isfinite(record.train_loss.at("total")), "the training loss is {} after epoch {}: training diverged",
        record.train_loss.at("total"), record.epoch);

  const at::Tensor means = on_device(progress.epoch_loss_sums, run.device) / static_cast<double>(progress.epoch_images);
  run.learner.weighting->end_epoch(progress.epoch, objectives(means.narrow(0, 0, 4), run.config.loss));
  progress.best_val_loss = std::min(progress.best_val_loss, val_loss);
  ++progress.epoch;
  progress.step_in_epoch = 0;
  progress.epoch_loss_sums = {};
  progress.epoch_weight_sums = {};
  progress.epoch_images = 0;
  progress.epoch_seconds = 0.0;
  if (run.is_first()) {
    // The log first: a resumed run cuts it back to the checkpoint's epoch, so a crash in between repeats, never loses.
    const Clock::time_point checkpoint_start = Clock::now();
    if (record.is_best) {
      run.best.save(run.learner, progress, run.identity, /*with_optimizer=*/false);
    }
    record.seconds["checkpoint"] = seconds_since(checkpoint_start);
    results::append_metrics(run.folder.metrics(), record);
    run.last.save(run.learner, progress, run.identity, /*with_optimizer=*/true);
  }
  log_line(epoch_text(record, run.config.train.epochs));
}

results::Provenance provenance_of(const Run& run, const RunOptions& options) {
  const SourceVersion source = source_version();
  const pack::Schema& schema = run.pack.schema();
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  results::Provenance provenance;
  provenance.version = source.version;
  provenance.commit = source.commit;
  provenance.diff_hash = source.diff_hash;
  provenance.build_type = source.build_type;
  provenance.compiler = source.compiler;
  provenance.libraries = library_versions(*run.communicator);
  provenance.hosts = run.session.gather(host.data());
  provenance.devices = run.session.gather(describe_device(run.device));
  provenance.world_size = run.session.size();
  provenance.precision = config::name(run.config.run.precision);
  provenance.pack_path = run.pack.path().string();
  provenance.pack_digest = schema.content_digest;
  provenance.pack_dataset = schema.dataset;
  provenance.pack_height = schema.height;
  provenance.pack_width = schema.width;
  provenance.pack_num_classes = run.learner.net.num_classes();
  provenance.pack_depth_kind = pack::depth_kind_name(schema.depth_kind);
  provenance.command_line = options.command_line;
  provenance.started = results::utc_now();
  provenance.num_parameters = run.learner.net.parameters().num_parameters();
  return provenance;
}

/// config.toml and provenance.json; a resumed run keeps the first start's and adds its own time.
void write_records(const Run& run, const RunOptions& options, bool resumes) {
  results::Provenance provenance = provenance_of(run, options);  // collective
  if (!run.is_first()) {
    return;
  }
  if (resumes && fs::exists(run.folder.provenance())) {
    const std::string now = provenance.started;
    provenance = results::read_provenance(run.folder.provenance());
    provenance.resumed.push_back(now);
  }
  io::write_file_atomically(run.folder.config(), config::to_toml(run.config, /*documented=*/false));
  results::write_provenance(run.folder.provenance(), provenance);
}

void mark_done(const Run& run) {
  results::Provenance provenance = results::read_provenance(run.folder.provenance());
  provenance.finished = results::utc_now();
  results::write_provenance(run.folder.provenance(), provenance);
  io::write_file_atomically(run.folder.done_marker(), provenance.finished + "\n");
}

/// Rank 0 looks at the folder and all ranks act on what it saw. \returns whether the run is already done
bool prepare_folder(const dist::MpiSession& session, const results::RunFolder& folder, bool restart) {
  std::string state = "open";
  if (session.rank() == 0) {
    if (restart) {
      for (const fs::path& path : {folder.done_marker(), folder.metrics(), folder.checkpoints(), folder.provenance()}) {
        fs::remove_all(path);
      }
    }
    results::prepare_run_folder(folder);
    state = folder.is_done() ? "done" : "open";
  }
  return session.broadcast(state) == "done";
}

/// Initial weights, or those of the last checkpoint; the same bits on every rank. \returns where the run stands
Progress start_or_resume(Run& run) {
  Progress progress;
  bool resumes = false;
  if (run.is_first()) {
    if (const auto found = run.last.load(run.learner, run.identity)) {
      progress = *found;
      resumes = true;
    } else if (!run.config.model.encoder_weights.empty()) {
      load_encoder_weights(run.learner, run.config.model);
    }
    results::truncate_metrics(run.folder.metrics(), progress.epoch);
  }
  broadcast_state(run.learner, *run.communicator);
  static_assert(std::is_trivially_copyable_v<Progress>);
  const std::string text = run.session.broadcast(
      std::string(reinterpret_cast<const char*>(&progress), sizeof(progress)));  // plain numbers, one kind of machine
  std::memcpy(&progress, text.data(), sizeof(progress));
  if (run.session.max(resumes ? 1 : 0) == 1) {
    log_info("resuming after epoch {} and {} steps of the next", progress.epoch, progress.step_in_epoch);
  }
  return progress;
}

}  // namespace

ExitCode run(const dist::MpiSession& session, const config::RunConfig& config, const RunOptions& options) {
  const at::Device device = choose_device(config.run.device, session);
  configure_torch(config, session);
  if (config.data.pack.empty()) {
    fail_usage("data.pack is not set: name a pack that xtasc-preprocess made, e.g. --set data.pack=data/scenes.h5");
  }
  pack::Reader pack(config.data.pack);
  if (config.data.verify) {
    verify_pack(session, config.data.pack);
  }
  const std::size_t label_set = data::find_label_set(pack.schema(), config.data.label_set);
  const auto num_classes = static_cast<std::int64_t>(pack.schema().label_sets[label_set].class_names.size());

  const results::RunFolder folder{fs::path(config.run.output) / results::run_id(config)};
  if (prepare_folder(session, folder, options.restart)) {
    log_info("{} is DONE; --restart would train it again", folder.root.string());
    return ExitCode::success;
  }
  data::Dataset train(pack, pack::Split::train, label_set, device);
  data::Dataset val(pack, pack::Split::val, label_set, device);
  RunIdentity identity = {config::identity_text(config), pack.schema().content_digest};
  Run run{.session = session,
          .config = config,
          .folder = folder,
          .device = device,
          .communicator = dist::make_communicator(session, device.type()),
          .pack = std::move(pack),
          .train = std::move(train),
          .val = std::move(val),
          .learner = {config, num_classes, device},
          .identity = std::move(identity),
          .last = Checkpoint(folder.checkpoints() / "last"),
          .best = Checkpoint(folder.checkpoints() / "best")};
  log_info("{} {} on {}: {} train, {} val, {} x {}, {} classes; {} parameters; {} rank{} ({}), {}, {}",
           config::name(config.model.system), config::name(config.model.encoder), run.pack.schema().dataset,
           run.train.size(), run.val.size(), run.train.height(), run.train.width(), num_classes,
           run.learner.net.parameters().num_parameters(), session.size(), session.size() == 1 ? "" : "s",
           run.communicator->backend(), config::name(config.run.precision), describe_device(device));
  log_info("run folder {}", folder.root.string());

  Progress progress = start_or_resume(run);
  write_records(run, options, progress.step > 0);
  Step plain_step(config, run.learner, *run.communicator);
  CapturedStep step(plain_step, recorder_for(config, device, *run.communicator));
  while (progress.epoch < config.train.epochs && !reached_max_steps(config.train, progress)) {
    const int signal = train_epoch(run, step, progress);
    if (signal != 0) {
      if (run.is_first()) {
        run.last.save(run.learner, progress, run.identity, /*with_optimizer=*/true);
      }
      session.barrier();
      log_warning("stopped by {} after {} steps, checkpoint written; the same command resumes", signal_name(signal),
                  progress.step);
      return ExitCode::interrupted;
    }
    finish_epoch(run, progress);
  }
  if (run.is_first()) {
    mark_done(run);
  }
  session.barrier();
  return ExitCode::success;
}

}  // namespace xtasc::train
