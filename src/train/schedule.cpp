#include "train/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.hpp"
#include "data/sampler.hpp"

namespace xtasc::train {

namespace {

/// Of the rate, by the schedule alone.
double factor_of(const config::TrainSection& train, const ScheduleTime& time) {
  const auto behind_warmup = static_cast<double>(std::max<std::int64_t>(0, time.step - train.warmup_steps));
  const auto length = static_cast<double>(std::max<std::int64_t>(1, time.num_steps - train.warmup_steps));
  const double done = std::min(1.0, behind_warmup / length);
  switch (train.schedule) {
    case config::Schedule::step: {
      const std::int64_t num_falls = time.epoch / train.lr_step;
      return std::pow(train.lr_gamma, static_cast<double>(num_falls));
    }
    case config::Schedule::cosine:
      return 0.5 * (1.0 + std::cos(std::numbers::pi * done));
    case config::Schedule::poly:
      return std::pow(1.0 - done, train.poly_power);
    case config::Schedule::constant:
      return 1.0;
  }
  fail("unknown schedule {}", static_cast<int>(train.schedule));
}

}  // namespace

std::int64_t num_steps_of(const config::TrainSection& train, std::int64_t num_images) {
  const std::int64_t all = train.epochs * data::steps_per_epoch(num_images, train.batch_size);
  return train.max_steps > 0 ? std::min(train.max_steps, all) : all;
}

void check_warmup(const config::TrainSection& train, std::int64_t num_images) {
  const std::int64_t num_steps = num_steps_of(train, num_images);
  if (train.warmup_steps > num_steps) {
    fail_usage(
        "train.warmup_steps = {} are more than the run's {} steps, so that it would never reach train.learning_rate: "
        "give at most those",
        train.warmup_steps, num_steps);
  }
}

void check_profile(const config::RunConfig& config, std::int64_t num_images) {
  const std::int64_t num_steps = num_steps_of(config.train, num_images);
  const std::vector<std::int64_t>& profile = config.run.profile;
  if (!profile.empty() && profile.back() > num_steps) {
    fail_usage("run.profile = [{}] goes beyond the run's {} steps: give a first and a last step between 1 and {}",
               fmt::join(profile, ", "), num_steps, num_steps);
  }
}

bool reached_max_steps(const config::TrainSection& train, std::int64_t step) {
  return train.max_steps > 0 && step >= train.max_steps;
}

bool is_out_of_patience(const config::TrainSection& train, std::int64_t epochs, std::int64_t best_epoch) {
  return train.patience > 0 && epochs - best_epoch >= train.patience;
}

bool is_over(const config::TrainSection& train, const Progress& progress) {
  const bool is_between_epochs = progress.step_in_epoch == 0;  // else one is still to be evaluated
  return progress.epoch >= train.epochs ||
         (is_between_epochs &&
          (reached_max_steps(train, progress.step) || is_out_of_patience(train, progress.epoch, progress.best_epoch)));
}

double learning_rate(const config::TrainSection& train, const ScheduleTime& time) {
  const double rate = train.learning_rate * factor_of(train, time);
  return time.step >= train.warmup_steps
             ? rate
             : rate * static_cast<double>(time.step + 1) / static_cast<double>(train.warmup_steps);
}

}  // namespace xtasc::train
