#include "train/run.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/signals.hpp"
#include "core/watchdog.hpp"
#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "pack/reader.hpp"
#include "run/attempt.hpp"
#include "run/metrics_log.hpp"
#include "run/run_folder.hpp"
#include "run/run_id.hpp"
#include "train/agreement.hpp"
#include "train/captured_step.hpp"
#include "train/checkpoint_writer.hpp"
#include "train/epoch_record.hpp"
#include "train/evaluate.hpp"
#include "train/health.hpp"
#include "train/records.hpp"
#include "train/setup.hpp"
#include "train/start.hpp"
#include "train/step.hpp"
#include "train/stop_check.hpp"
#include "train/transfers.hpp"
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
  run::RunFolder folder;
  Watchdog& watchdog;
  at::Device device;
  std::unique_ptr<dist::Communicator> communicator;
  pack::Reader pack;
  data::Dataset train, val;
  Learner learner;
  std::unique_ptr<CheckpointWriter> checkpoints;  ///< on rank 0; null elsewhere
  std::int64_t first_step = 0;                    ///< optimizer steps that were done before this start

  [[nodiscard]] bool is_first() const { return session.rank() == 0; }
  [[nodiscard]] RunMoment moment(const Progress& progress) const {
    return {.epoch = progress.epoch + 1, .step = progress.step, .start = first_step};
  }
};

StopCheck stop_check(const Run& run) {
  return {run.session.size(), [&run](std::int64_t value) { return run.session.max(value); },
          run.is_first() ? run.folder.stop_request() : fs::path()};
}

/// This rank's part of global batch `step` of the epoch, augmented.
data::Batch next_batch(const Run& run, const Progress& progress, const std::vector<std::int64_t>& order) {
  const auto& config = run.config;
  const data::Range whole = data::global_batch(progress.step_in_epoch, config.train.batch_size, run.train.size());
  const data::Range mine = data::share_of(whole, run.session.rank(), run.session.size());
  const auto samples =
      std::span(order).subspan(static_cast<std::size_t>(mine.begin), static_cast<std::size_t>(mine.size()));
  data::Batch batch =
      data::draw_batch(run.train, samples, {.flip = config.data.flip, .scale_crop = config.data.scale_crop},
                       static_cast<std::uint64_t>(config.run.seed), progress.epoch);
  give_place(batch, config, run.learner.net, {mine.begin - whole.begin, samples, progress.step});
  return batch;
}

double learning_rate(const config::TrainSection& train, std::int64_t epoch) {
  const std::int64_t num_falls = epoch / train.lr_step;
  return train.learning_rate * std::pow(train.lr_gamma, static_cast<double>(num_falls));
}

bool reached_max_steps(const config::TrainSection& train, const Progress& progress) {
  return train.max_steps > 0 && progress.step >= train.max_steps;
}

at::Tensor on_device(const std::vector<double>& values, at::Device device) {
  return at::tensor(values, at::kDouble).to(device);
}

void to_host(const at::Tensor& tensor, std::vector<double>& values) {
  const at::Tensor on_host = tensor.to(at::kCPU);
  std::copy_n(on_host.const_data_ptr<double>(), values.size(), values.begin());
}

/// Whether steps of the run may count nothing of a term for a reason of their own: a draw of transfers, or images
/// without labels of a task. Else every step counts in the epoch's means as it is.
bool counts_by_term(const Run& run) {
  return draws_transfers(run.config) || std::ranges::any_of(run.train.label_keys(), [&run](const std::string& key) {
           return run.train.num_with_labels(key) < run.train.size();
         });
}

/// Trains from progress.step_in_epoch to the end of the epoch. \returns what stopped it (see StopCheck), or 0
int train_epoch(const Run& run, CapturedStep& step, const Step& plain_step, Progress& progress) {
  const auto& train = run.config.train;
  const auto order =
      data::epoch_order(static_cast<std::uint64_t>(run.config.run.seed), progress.epoch, run.train.size());
  const std::int64_t num_steps = data::steps_per_epoch(run.train.size(), train.batch_size);
  const Clock::time_point start = Clock::now();
  const double seconds_before = progress.epoch_seconds;
  const std::int64_t images_before = progress.epoch_images;
  const at::Tensor loss_sums = on_device(progress.epoch_loss_sums, run.device);
  const at::Tensor weight_sums = on_device(progress.epoch_weight_sums, run.device);
  if (counts_by_term(run) && progress.epoch_term_images.empty()) {
    progress.epoch_term_images.assign(run.learner.objective->terms().size(), 0.0);
  }
  const at::Tensor term_images = on_device(progress.epoch_term_images, run.device);
  xtasc::Progress live(fmt::format("epoch {}/{} step", progress.epoch + 1, train.epochs), num_steps);
  std::string losses_text;
  at::Tensor last_losses;
  int reason = 0;
  StopCheck stop = stop_check(run);

  while (progress.step_in_epoch < num_steps && !reached_max_steps(train, progress)) {
    reason = stop.reason();
    if (reason != 0) {
      break;
    }
    if (run.is_first()) {
      run.checkpoints->require_healthy();
    }
    run.watchdog.beat("training step", progress.step + 1);
    const std::int64_t images = data::global_batch(progress.step_in_epoch, train.batch_size, run.train.size()).size();
    const StepResult result = step.run(next_batch(run, progress, order), images, {progress.epoch, progress.step},
                                       learning_rate(train, progress.epoch));
    last_losses = result.losses;
    const bool is_read = progress.step_in_epoch % kStepsBetweenReadings == 0;
    loss_sums.add_(result.losses * static_cast<double>(images));
    weight_sums.add_(result.task_weights * static_cast<double>(images));
    if (term_images.size(0) > 0) {
      term_images.add_(result.is_counted * static_cast<double>(images));
    }
    progress.epoch_images += images;
    ++progress.step_in_epoch;
    ++progress.step;
    if (is_read) {
      losses_text = loss_text(require_finite_steps(run.session, plain_step, last_losses, run.moment(progress)),
                              *run.learner.objective);
    }
    const double rate = static_cast<double>(progress.epoch_images - images_before) / seconds_since(start);
    live.update(progress.step_in_epoch, fmt::format("{}, {:.1f} images/s", losses_text, rate));
  }

  if (last_losses.defined()) {  // nothing is saved or evaluated that was not looked at
    require_finite_steps(run.session, plain_step, last_losses, run.moment(progress));
    require_finite_state(run.session, run.learner, run.moment(progress));
  }
  to_host(loss_sums, progress.epoch_loss_sums);
  to_host(weight_sums, progress.epoch_weight_sums);
  to_host(term_images, progress.epoch_term_images);
  progress.epoch_seconds = seconds_before + seconds_since(start);
  return reason;
}

/// Evaluates, logs and checkpoints the epoch that just ended, and moves progress to the next.
void finish_epoch(Run& run, Progress& progress) {
  const Clock::time_point evaluation_start = Clock::now();
  xtasc::Progress live(fmt::format("epoch {} evaluating", progress.epoch + 1), run.val.size());
  run.watchdog.beat("evaluation before image", 1);
  const Evaluation evaluation = evaluate(run.config, run.learner, run.val, *run.communicator, [&](std::int64_t images) {
    run.watchdog.beat("evaluation before image", images + 1);
    live.update(std::min(images * run.session.size(), run.val.size()), "images");
  });
  const double evaluation_seconds = seconds_since(evaluation_start);
  require_finite(evaluation, run.moment(progress));

  const double val_loss = evaluation.losses.at("total");
  run::EpochRecord record{.epoch = progress.epoch + 1,
                          .step = progress.step,
                          .learning_rate = learning_rate(run.config.train, progress.epoch),
                          .train_loss = mean_train_losses(progress, *run.learner.objective),
                          .val_loss = evaluation.losses,
                          .task_weight = mean_task_weights(progress, *run.learner.objective),
                          .paper = evaluation.report.paper,
                          .dataset = evaluation.report.dataset,
                          .consistency = evaluation.consistency,
                          .class_iou = evaluation.report.class_iou,
                          .is_best = val_loss < progress.best_val_loss,
                          .images_per_second = static_cast<double>(progress.epoch_images) / progress.epoch_seconds,
                          .seconds = {{"train", progress.epoch_seconds}, {"evaluate", evaluation_seconds}}};
  if (!std::isfinite(record.train_loss.at("total"))) {  // a sum of finite losses that is too large
    throw Diverged(fmt::format("the training loss is {} after epoch {}: training diverged",
                               record.train_loss.at("total"), record.epoch));
  }

  run.learner.weighting->end_epoch(progress.epoch, epoch_losses(progress, run.config, run.learner).to(run.device));
  ++progress.epoch;
  if (record.is_best) {
    progress.best_val_loss = val_loss;
    progress.best_epoch = progress.epoch;
  }
  progress.step_in_epoch = 0;
  std::ranges::fill(progress.epoch_loss_sums, 0.0);
  std::ranges::fill(progress.epoch_weight_sums, 0.0);
  progress.epoch_term_images.clear();
  progress.epoch_images = 0;
  progress.epoch_seconds = 0.0;
  if (run.is_first()) {
    run.watchdog.beat("checkpoint of epoch", progress.epoch);
    run.checkpoints->save(run.learner, progress, record);
  }
  log_line(epoch_text(record, run.config.train.epochs));
}

/// Trains up to the end of an epoch. \returns what stopped it (see StopCheck), or 0
int train_epochs(Run& run, std::int64_t last_epoch, Progress& progress) {
  const auto& config = run.config;
  Step plain_step(config, run.learner, *run.communicator);
  CapturedStep step(plain_step, graph_capture_for(config, run.device, *run.communicator),
                    [&run](const std::string& text) { return run.session.gather(text); });
  while (progress.epoch < last_epoch && !reached_max_steps(config.train, progress)) {
    if (const int reason = train_epoch(run, step, plain_step, progress); reason != 0) {
      return reason;
    }
    finish_epoch(run, progress);
  }
  return 0;
}

/// No rank ends the others, as each will, before the checkpoint that is still good is whole. Collective.
void finish_last_checkpoint(Run& run, const Progress& progress) {
  run.watchdog.beat("checkpoint of epoch", progress.epoch);
  if (run.is_first()) {
    try {
      run.checkpoints->finish();
    } catch (const std::exception& error) {
      log_warning("{}", error.what());
    }
  }
  run.session.barrier();
}

/// \throws Error where a teacher was trained anew, or its file changed, since the run began
void check_teachers_of(const run::RunFolder& folder, const TeacherWeights& teachers) {
  std::error_code ignored;
  if (teachers.digests.empty() || !fs::exists(folder.provenance(), ignored)) {
    return;
  }
  for (const auto& [task, digest] : run::read_provenance(folder.provenance()).teacher_weights) {
    const auto found = teachers.digests.find(task);
    check(found != teachers.digests.end() && found->second == digest,
          "distillation.teacher_{} has other weights than when this run began (trained anew?): {} instead of {}; put "
          "those back, or begin anew with --restart",
          task, found == teachers.digests.end() ? "none" : found->second, digest);
  }
}

/// Initial weights, or those of the last checkpoint; the same bits on every rank. \returns where the run stands
Progress start_or_resume(Run& run, const TeacherWeights& teachers) {
  Progress progress = no_progress(*run.learner.objective);
  bool resumes = false;
  if (run.is_first()) {
    if (const auto found = run.checkpoints->load(run.learner)) {
      progress = *found;
      resumes = true;
    } else if (!run.config.model.encoder_weights.empty()) {
      load_encoder_weights(run.learner, run.config.model);
    }
    check_free_space(run.learner, run.folder);
    look_after_records(run.folder, run.config);
    if (resumes) {
      check_teachers_of(run.folder, teachers);
    }
  }
  broadcast_state(run.learner, *run.communicator);
  progress = progress_of(run.session.broadcast(to_text(progress)));
  run.first_step = progress.step;
  if (run.session.max(resumes ? 1 : 0) == 1) {
    log_info("resuming after epoch {} and {} steps of the next", progress.epoch, progress.step_in_epoch);
  }
  return progress;
}

}  // namespace

ExitCode run(const dist::MpiSession& session, const config::RunConfig& given, const RunOptions& options) {
  check_same_run(session, given,
                 {{"--restart", options.restart ? "given" : "not given"},
                  {"--until-epoch", fmt::format("{}", options.until_epoch)}});
  const at::Device device = choose_device(given.run, session);
  configure_torch(given, session);
  if (given.data.pack.empty()) {
    fail_usage("data.pack is not set: name a pack that xtasc-preprocess made, e.g. --set data.pack=data/scenes.h5");
  }
  pack::Reader pack(given.data.pack);
  check_agreement(session, pack_claims(pack), "every rank must read a copy of the same pack");
  const config::RunConfig config = with_digests(session, given, pack);
  if (config.data.verify) {
    verify_pack(session, config.data.pack);
  }
  const std::size_t label_set = pack::find_label_set(pack.schema(), config.data.label_set);
  const auto num_classes = static_cast<std::int64_t>(pack.schema().label_sets[label_set].class_names.size());

  // The data first: what they hold names the run.
  data::Splits splits = data::read_splits(pack, {label_set, config.data.normalise}, device);
  keep_labels(config, splits.train);
  check_targets(config, splits, config.data.pack);
  check_batch_norm(config.model, splits.train.size(), config.train.batch_size, config.train.max_steps,
                   splits.train.height(), splits.train.width());
  const run::RunFolder folder{fs::path(config.run.output) / run::run_id(config)};
  const net::Sizes sizes(num_classes, splits.train.height(), splits.train.width(), config.train.batch_size);
  const bool is_done = folder.is_done() && !options.restart;
  TeacherWeights teachers = session.rank() == 0 && !is_done ? read_teachers(config, sizes) : TeacherWeights();
  std::optional<run::RunClaim> claim;
  if (prepare_folder(session, config, folder, options, claim)) {
    log_info("{} is DONE; --restart would train it again", folder.root.string());
    return ExitCode::success;
  }
  Watchdog watchdog(std::chrono::seconds(config.run.stall_seconds),
                    fmt::format("rank {} on {}", session.rank(), dist::host_name()));
  RunIdentity identity = {config::identity_text(config), pack.schema().content_digest};
  Run run{.session = session,
          .config = config,
          .folder = folder,
          .watchdog = watchdog,
          .device = device,
          .communicator = dist::make_communicator(session, device.type(), sharing_of(config.run)),
          .pack = std::move(pack),
          .train = std::move(splits.train),
          .val = std::move(splits.val),
          .learner = {config, sizes, device},
          .checkpoints = nullptr};
  load_teachers(run.learner, config, sizes, teachers, *run.communicator);
  teachers.tensors.clear();
  if (run.is_first()) {
    run.checkpoints =
        std::make_unique<CheckpointWriter>(folder, std::move(identity), [&] { claim->check_still_ours(); });
  }
  log_info("{} {} on {}: {} train, {} val, {} x {}, {} classes; {} parameters; {} rank{} ({}), {}, {}",
           config.model.system, config::encoder_of(config.model), run.pack.schema().dataset, run.train.size(),
           run.val.size(), run.train.height(), run.train.width(), num_classes,
           run.learner.net.parameters().num_parameters(), session.size(), session.size() == 1 ? "" : "s",
           run.communicator->backend(), config::name(config.run.precision), describe_device(device));
  log_info("run folder {}", folder.root.string());
  if (const std::string advice = advice_on_precision(device.type(), config.run.precision); !advice.empty()) {
    log_warning("{}", advice);
  }
  log_ranks(session, device);

  Progress progress = start_or_resume(run, teachers);
  run::Provenance provenance =
      provenance_of(session, config, run.pack, run.learner, device, *run.communicator, options.command_line);
  provenance.teacher_weights = teachers.digests;
  provenance.teacher_recipes = teachers.recipes;
  if (run.is_first()) {
    write_records(folder, config, provenance, progress);
  }
  int reason = 0;
  try {
    reason = train_epochs(run, options.last_epoch(config.train), progress);
  } catch (const Diverged&) {
    finish_last_checkpoint(run, progress);
    throw;
  }
  if (reason != 0) {
    watchdog.beat("checkpoint after step", progress.step);
    if (run.is_first()) {
      run.checkpoints->save(run.learner, progress);
      run.checkpoints->finish();
    }
    session.barrier();
    log_warning("stopped by {} after {} steps, checkpoint written; the same command resumes", signal_name(reason),
                progress.step);
    return ExitCode::interrupted;
  }
  if (run.is_first()) {
    watchdog.beat("checkpoint of epoch", progress.epoch);
    run.checkpoints->require_complete(progress);
    claim->check_still_ours();
    mark_end(folder, progress.epoch, options.pauses_after(progress.epoch, config.train));
  }
  session.barrier();
  return ExitCode::success;
}

}  // namespace xtasc::train
