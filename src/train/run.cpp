#include "train/run.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

#include "core/log.hpp"
#include "core/program_watch.hpp"
#include "core/progress.hpp"
#include "core/signals.hpp"
#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "pack/reader.hpp"
#include "run/attempt.hpp"
#include "run/metrics_log.hpp"
#include "run/run_folder.hpp"
#include "run/run_id.hpp"
#include "train/accumulation.hpp"
#include "train/agreement.hpp"
#include "train/captured_step.hpp"
#include "train/checkpoint_writer.hpp"
#include "train/draw.hpp"
#include "train/epoch_record.hpp"
#include "train/epoch_sums.hpp"
#include "train/evaluate.hpp"
#include "train/final_evaluation.hpp"
#include "train/health.hpp"
#include "train/records.hpp"
#include "train/run_observer.hpp"
#include "train/schedule.hpp"
#include "train/setup.hpp"
#include "train/start.hpp"
#include "train/step.hpp"
#include "train/stop_check.hpp"
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
  ProgramWatch& watch;
  at::Device device;
  std::unique_ptr<dist::Communicator> communicator;
  pack::Reader pack;
  data::Splits data;
  Learner learner;
  std::unique_ptr<CheckpointWriter> checkpoints;  ///< on rank 0; null elsewhere
  std::unique_ptr<RunObserver> observer;
  std::int64_t first_step = 0;  ///< optimizer steps that were done before this start

  [[nodiscard]] bool is_first() const { return session.rank() == 0; }
  /// What the best epoch is chosen by.
  [[nodiscard]] const data::Dataset& judges() const { return data.held_out ? *data.held_out : data.val; }
  [[nodiscard]] RunMoment moment(const Progress& progress) const {
    return {.epoch = progress.epoch + 1, .step = progress.step, .start = first_step};
  }
};

StopCheck stop_check(const Run& run) {
  return {run.session.size(), [&run](std::int64_t value) { return run.session.max(value); },
          run.is_first() ? run.folder.stop_request() : fs::path()};
}

/// The rate of a step. \param step  optimizer steps completed before it
double rate_of(const Run& run, std::int64_t epoch, std::int64_t step) {
  const auto& train = run.config.train;
  return learning_rate(train, {.epoch = epoch, .step = step, .num_steps = num_steps_of(train, run.data.train.size())});
}

/// Trains from progress.step_in_epoch to the end of the epoch. \returns what stopped it (see StopCheck), or 0
int train_epoch(const Run& run, CapturedStep& step, const Step& plain_step, Progress& progress) {
  const auto& train = run.config.train;
  const auto order =
      data::epoch_samples(run.data.train, static_cast<std::uint64_t>(run.config.run.seed), progress.epoch);
  const std::int64_t num_steps = data::steps_per_epoch(run.data.train.size(), train.batch_size);
  const Clock::time_point start = Clock::now();
  const double seconds_before = progress.epoch_seconds;
  const std::int64_t images_before = progress.epoch_images;
  EpochSums sums(progress, run.learner, counts_by_term(run.config, run.data.train), run.device);
  xtasc::Progress live(fmt::format("epoch {}/{} step", progress.epoch + 1, train.epochs), num_steps);
  std::string losses_text;
  at::Tensor last_losses;
  int reason = 0;
  StopCheck stop = stop_check(run);
  run.observer->begin_training();

  while (progress.step_in_epoch < num_steps && !reached_max_steps(train, progress.step)) {
    reason = stop.reason();
    if (reason != 0) {
      break;
    }
    if (run.is_first()) {
      run.checkpoints->require_healthy();
    }
    run.watch.beat("training step", progress.step + 1);
    run.observer->begin_step(progress.step + 1);
    const data::Range batch = data::global_batch(progress.step_in_epoch, train.batch_size, run.data.train.size());
    const std::int64_t images = batch.size();
    const std::vector<data::Batch> pieces = draw_pieces(run.config, run.learner.net, run.data.train,
                                                        {.order = order,
                                                         .places = batch,
                                                         .rank = run.session.rank(),
                                                         .num_ranks = run.session.size(),
                                                         .epoch = progress.epoch,
                                                         .step = progress.step});
    run.observer->end_data();
    const StepResult result =
        step.run(pieces, images, {progress.epoch, progress.step}, rate_of(run, progress.epoch, progress.step));
    run.observer->end_step();
    last_losses = result.losses;
    const bool is_read = progress.step_in_epoch % kStepsBetweenReadings == 0;
    sums.add(result, images);
    progress.epoch_images += images;
    ++progress.step_in_epoch;
    ++progress.step;
    if (is_read) {
      const auto losses = require_finite_steps(run.session, plain_step, last_losses, run.moment(progress));
      losses_text = loss_text(losses, *run.learner.objective);
      run.observer->add_losses(progress, losses);
    }
    const double rate = static_cast<double>(progress.epoch_images - images_before) / seconds_since(start);
    live.update(progress.step_in_epoch, fmt::format("{}, {:.1f} images/s", losses_text, rate));
  }

  if (last_losses.defined()) {  // nothing is saved or evaluated that was not looked at
    require_finite_steps(run.session, plain_step, last_losses, run.moment(progress));
    require_finite_state(run.session, run.learner, run.moment(progress));
  }
  sums.store(progress);
  run.observer->end_training(progress);
  progress.epoch_seconds = seconds_before + seconds_since(start);
  return reason;
}

/// Evaluates, logs and checkpoints the epoch that just ended, and moves progress to the next. \returns what stopped it
/// (see StopCheck), or 0. Where it was stopped, nothing has happened yet: the evaluation comes again.
int finish_epoch(Run& run, Progress& progress) {
  const Clock::time_point evaluation_start = Clock::now();
  xtasc::Progress live(fmt::format("epoch {} evaluating", progress.epoch + 1), run.judges().size());
  run.watch.beat("evaluation before image", 1);
  StopCheck stop = stop_check(run);
  int reason = 0;
  const auto evaluated =
      evaluate_unless_stopped(run.config, run.learner, run.judges(), *run.communicator, [&](auto images) {
        run.watch.beat("evaluation before image", images + 1);
        live.update(std::min(images * run.session.size(), run.judges().size()), "images");
        reason = stop.reason();
        return reason == 0;
      });
  if (!evaluated) {
    return reason;
  }
  const Evaluation& evaluation = *evaluated;
  const double evaluation_seconds = seconds_since(evaluation_start);
  require_finite(evaluation, run.moment(progress), run.data.held_out ? "held-out" : "validation");

  run::EpochRecord record =
      record_of(run.config, run.learner, progress, evaluation, /*is_of_holdout=*/run.data.held_out.has_value());
  record.learning_rate = rate_of(run, progress.epoch, progress.step - 1);
  record.seconds = {{"train", progress.epoch_seconds}, {"evaluate", evaluation_seconds}};
  record.machine = run.observer->use_of_epoch(progress);
  if (!std::isfinite(record.train_loss.at("total"))) {  // a sum of finite losses that is too large
    throw Diverged(fmt::format("the training loss is {} after epoch {}: training diverged",
                               record.train_loss.at("total"), record.epoch));
  }

  run.learner.weighting->end_epoch(progress.epoch, epoch_losses(progress, run.config, run.learner).to(run.device));
  ++progress.epoch;
  if (record.is_best) {
    progress.best_val_loss = record.val_loss.at("total");
    progress.best_epoch = progress.epoch;
  }
  clear_epoch(progress);
  if (run.is_first()) {
    run.watch.beat("checkpoint of epoch", progress.epoch);
    record.seconds["checkpoint"] = run.checkpoints->seconds();
    run.observer->add_epoch(record);
    run.checkpoints->save(run.learner, progress, record);
  }
  log_line(epoch_text(record, run.config.train.epochs));
  log_line(fmt::format("epoch {}/{}: {}", record.epoch, run.config.train.epochs, machine_text(record)));
  warn_of_small_weights(record, run.learner.weighting->smallest_weight());
  return 0;
}

/// Trains up to the end of an epoch. \returns what stopped it (see StopCheck), or 0
int train_epochs(Run& run, std::int64_t last_epoch, Progress& progress) {
  const auto& config = run.config;
  Step plain_step(config, run.learner, *run.communicator);
  run.observer->observe(plain_step);
  CapturedStep step(plain_step, graph_capture_for(config, run.device, *run.communicator),
                    [&run](const std::string& text) { return run.session.gather(text); });
  while (progress.epoch < last_epoch && !is_over(config.train, progress)) {
    if (const int reason = train_epoch(run, step, plain_step, progress); reason != 0) {
      return reason;
    }
    if (const int reason = finish_epoch(run, progress); reason != 0) {
      return reason;
    }
  }
  if (progress.epoch < config.train.epochs && is_out_of_patience(config.train, progress.epoch, progress.best_epoch)) {
    log_info("ended by train.patience = {}: no epoch since {} was better", config.train.patience, progress.best_epoch);
  }
  return 0;
}

/// What is left to do when nothing is left to train, or the run is to go on later; where it is stopped, it comes again.
ExitCode finish_run(Run& run, const Progress& progress, const run::RunClaim* claim) {
  if (run.is_first()) {
    run.watch.beat("checkpoint of epoch", progress.epoch);
    run.checkpoints->require_complete(progress);
    claim->check_still_ours();
  }
  const bool goes_on_later = !is_over(run.config.train, progress);
  if (run.data.held_out && !goes_on_later) {
    run.watch.beat("last evaluation before image", 1);
    StopCheck stop = stop_check(run);
    int reason = 0;
    const auto goes_on = [&](auto images) {
      run.watch.beat("last evaluation before image", images + 1);
      reason = stop.reason();
      return reason == 0;
    };
    if (!evaluate_at_end(run.config, run.folder, run.learner, run.data.val, *run.communicator, progress, goes_on)) {
      log_warning("stopped by {} in the last evaluation; the same command resumes", signal_name(reason));
      return ExitCode::interrupted;
    }
  }
  if (run.is_first()) {
    claim->check_still_ours();
    mark_end(run.folder, progress.epoch, goes_on_later);
  }
  run.session.barrier();
  return ExitCode::success;
}

/// No rank ends the others, as each will, before the checkpoint that is still good is whole. Collective.
void finish_last_checkpoint(Run& run, const Progress& progress) {
  run.watch.beat("checkpoint of epoch", progress.epoch);
  if (run.is_first()) {
    run.checkpoints->finish_or_warn();
  }
  run.session.barrier();
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

ExitCode run(const dist::MpiSession& session, const config::RunConfig& given, const RunOptions& options,
             ProgramWatch& watch) {
  watch.beat("the comparison of the ranks");
  check_same_run(session, given,
                 {{"--restart", options.restart ? "given" : "not given"},
                  {"--until-epoch", fmt::format("{}", options.until_epoch)}});
  const at::Device device = choose_device(given.run, session);
  configure_torch(given, session);
  if (given.data.pack.empty()) {
    fail_usage("data.pack is not set: name a pack that xtasc-preprocess made, e.g. --set data.pack=data/scenes.h5");
  }
  watch.beat("opening the pack");
  pack::Reader pack(given.data.pack);
  pack.set_on_part([&watch] { watch.beat("reading the pack"); });
  check_agreement(session, pack_claims(pack), "every rank must read a copy of the same pack");
  watch.beat("reading the weights that the config names");
  const config::RunConfig config = with_digests(session, given, pack);
  if (config.data.verify) {
    verify_pack(session, config.data.pack, watch);
  }
  const std::size_t label_set = pack::find_label_set(pack.schema(), config.data.label_set);
  const auto num_classes = static_cast<std::int64_t>(pack.schema().label_sets[label_set].class_names.size());

  // The data first: what they hold names the run.
  data::Splits splits = data::read_splits(pack, {label_set, config.data.normalise}, device);
  choose_samples(config, splits);
  check_targets(config, splits, config.data.pack);
  check_batch_norm(config.model, splits.train.size(), config.train.batch_size, config.train.max_steps,
                   splits.train.height(), splits.train.width(), config.train.accumulate);
  check_warmup(config.train, splits.train.size());
  check_profile(config, splits.train.size());
  const run::RunFolder folder{fs::path(config.run.output) / run::run_id(config)};
  const net::Sizes sizes(num_classes, splits.train.height(), splits.train.width(), config.train.batch_size);
  watch.beat("reading the teachers");
  const bool needs_teachers = session.rank() == 0 && (options.restart || !folder.is_done());
  TeacherWeights teachers = needs_teachers ? read_teachers(config, sizes) : TeacherWeights();
  watch.beat("preparing the run folder");
  std::optional<run::RunClaim> claim;
  if (prepare_folder(session, config, folder, options, claim)) {
    log_info("{} is DONE; --restart would train it again", folder.root.string());
    return ExitCode::success;
  }
  watch.beat("making the net");
  RunIdentity identity = {config::identity_text(config), pack.schema().content_digest};
  Run run{.session = session,
          .config = config,
          .folder = folder,
          .watch = watch,
          .device = device,
          .communicator = dist::make_communicator(session, device.type(), sharing_of(config.run)),
          .pack = std::move(pack),
          .data = std::move(splits),
          .learner = {config, sizes, device},
          .checkpoints = nullptr,
          .observer = nullptr};
  load_teachers(run.learner, config, sizes, teachers, *run.communicator);
  teachers.tensors.clear();
  if (run.is_first()) {
    run.checkpoints =
        std::make_unique<CheckpointWriter>(folder, std::move(identity), [&] { claim->check_still_ours(); });
  }
  log_run(config, run.pack.schema(), run.data, run.learner, session, *run.communicator, device);
  log_info("run folder {}", folder.root.string());
  if (const std::string advice = advice_on_precision(device.type(), config.run.precision); !advice.empty()) {
    log_warning("{}", advice);
  }
  log_ranks(session, device, watch.launched());

  watch.beat("loading the checkpoint");
  Progress progress = start_or_resume(run, teachers);
  watch.beat("writing the run's records");
  run::Provenance provenance =
      provenance_of(session, config, run.pack, run.learner, device, *run.communicator, options.command_line);
  provenance.teacher_weights = teachers.digests;
  provenance.teacher_recipes = teachers.recipes;
  if (run.is_first()) {
    write_records(folder, config, provenance, progress);
  }
  run.observer =
      std::make_unique<RunObserver>(session, config, run.folder, sizes, run.learner, device, *run.communicator);
  run.observer->open_events(progress, run.pack, run.data, run.judges());
  watch.leave_stops_to_program("stopping with a checkpoint after this step");
  int reason = 0;
  try {
    reason = train_epochs(run, options.last_epoch(config.train), progress);
  } catch (const Diverged&) {
    finish_last_checkpoint(run, progress);
    throw;
  }
  run.observer->finish();
  if (reason != 0) {
    watch.beat("checkpoint after step", progress.step);
    if (run.is_first()) {
      run.checkpoints->save(run.learner, progress);
      run.checkpoints->finish();
    }
    session.barrier();
    log_warning("stopped by {} after {} steps, checkpoint written; the same command resumes", signal_name(reason),
                progress.step);
    return ExitCode::interrupted;
  }
  return finish_run(run, progress, claim ? &*claim : nullptr);
}

}  // namespace xtasc::train
