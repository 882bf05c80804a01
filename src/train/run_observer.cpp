#include "train/run_observer.hpp"

#include "core/error.hpp"
#include "core/log.hpp"
#include "io/file.hpp"
#include "train/epoch_record.hpp"

namespace xtasc::train {

namespace {

std::string fenced(std::string_view language, const std::string& text) {
  return fmt::format("```{}\n{}\n```\n", language, text);
}

}  // namespace

RunObserver::RunObserver(const dist::MpiSession& session, const config::RunConfig& config, const run::RunFolder& folder,
                         const net::Sizes& sizes, const Learner& learner, at::Device device,
                         const dist::Communicator& communicator)
    : config_(config),
      folder_(folder),
      learner_(learner),
      communicator_(communicator),
      use_(session, config, sizes, learner, device),
      clock_(device),
      trace_(config.run.profile, folder.profile(), session.rank(), device) {}

RunObserver::~RunObserver() {
  if (events_) {
    events_->write();
  }
}

void RunObserver::open_events(const Progress& progress, const pack::Reader& pack, const data::Splits& data,
                              const data::Dataset& judged) {
  if (!config_.run.profile.empty() && progress.step >= config_.run.profile.back()) {
    log_info("run.profile = [{}]: the run is behind these steps, there will be no trace",
             fmt::join(config_.run.profile, ", "));
  }
  if (!config_.run.tensorboard || communicator_.rank() != 0) {
    return;
  }
  const std::size_t label_set = pack::find_label_set(pack.schema(), config_.data.label_set);
  std::error_code ignored;
  const bool has_epochs = std::filesystem::exists(folder_.metrics(), ignored);
  try {
    events_.emplace(folder_.tensorboard(), events::EventLog::Known{progress.epoch, progress.step},
                    has_epochs ? run::read_metrics(folder_.metrics()) : std::vector<run::EpochRecord>(),
                    pack.schema().label_sets[label_set].class_names);
  } catch (const Error& error) {
    log_warning("run.tensorboard: {}; this start writes no event files", error.what());
    return;
  }
  if (events_->is_new()) {
    events_->add_text("config", fenced("toml", io::read_file(folder_.config())));
    events_->add_text("provenance", fenced("json", io::read_file(folder_.provenance())));
  }
  events_->write();
  if (config_.run.tensorboard_panels > 0) {
    panels_.emplace(pack, data.held_out ? pack::Split::train : pack::Split::val, label_set, judged,
                    learner_.net.tasks());
  }
}

void RunObserver::observe(Step& step) {
  step.observe([this](Phase phase) {
    clock_.enter(phase);
    trace_.enter(phase);
  });
}

void RunObserver::begin_step(std::int64_t step) {
  trace_.begin_step(step);
  clock_.enter(Phase::data);
  trace_.enter(Phase::data);
}

void RunObserver::end_step() {
  clock_.leave();
  trace_.end_step();
}

void RunObserver::add_losses(const Progress& progress, const std::vector<double>& losses) {
  if (!events_) {
    return;
  }
  const std::vector<std::string> names = loss_names(*learner_.objective);
  std::vector<events::Number> numbers;
  for (std::size_t i = 0; i < names.size(); ++i) {
    numbers.push_back({names[i] == "total" ? "loss" : "loss/" + names[i], losses[i]});
  }
  events_->add_live(progress.step, numbers);
  events_->write_now_and_then();
}

void RunObserver::end_training(Progress& progress) {
  const PhaseSeconds seconds = clock_.take();
  const std::optional<double> sums = communicator_.seconds_in_sums();
  std::vector<double>& kept = progress.epoch_phase_seconds;
  kept.resize(seconds.size() + (sums ? 1 : 0));
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    kept[i] += seconds[i];
  }
  if (sums) {
    kept.back() += *sums - sums_before_.value_or(0.0);
  }
}

void RunObserver::add_epoch(const run::EpochRecord& record) {
  if (!events_) {
    return;
  }
  events_->add_epoch(record);
  if (panels_ && record.epoch % config_.run.tensorboard_panels == 0) {
    const figure::Picture picture = panels_->draw(learner_, fmt::format("after epoch {}", record.epoch));
    events_->add_picture(record.epoch, "panel", picture.png, picture.height, picture.width);
  }
  events_->write();
}

void RunObserver::finish() {
  trace_.finish();
  if (events_) {
    events_->write();
  }
}

}  // namespace xtasc::train
