#pragma once

#include <cstdint>

#include "config/run_config.hpp"

namespace xtasc::train {

struct Progress;

/// Where a run stands, for its learning rate.
struct ScheduleTime {
  std::int64_t epoch = 0;      ///< epochs completed
  std::int64_t step = 0;       ///< optimizer steps completed, t
  std::int64_t num_steps = 0;  ///< of the whole run, T: see num_steps_of()
};

/// Optimizer steps of a run that nothing ends early. \param num_images  that an epoch trains on
[[nodiscard]] std::int64_t num_steps_of(const config::TrainSection& train, std::int64_t num_images);

/// \throws Error when the run would end before train.warmup_steps are over (exit code 2). \param num_images  that an
/// epoch trains on
void check_warmup(const config::TrainSection& train, std::int64_t num_images);

/// \throws Error (exit code 2) when run.profile names steps that the run does not have
void check_profile(const config::RunConfig& config, std::int64_t num_images);

/// Whether train.max_steps have been done.
[[nodiscard]] bool reached_max_steps(const config::TrainSection& train, std::int64_t step);
/// Whether the last train.patience epochs were not better than the best, after so many in all. \param best_epoch  from
/// 1
[[nodiscard]] bool is_out_of_patience(const config::TrainSection& train, std::int64_t epochs, std::int64_t best_epoch);

/// Whether nothing is left to train, nor an epoch to evaluate.
[[nodiscard]] bool is_over(const config::TrainSection& train, const Progress& progress);

/// The rate of the next optimizer step, with W = train.warmup_steps:
///
///     t < W:     rate * (t + 1) / W, under step and constant times their own factor
///     step:      rate * lr_gamma^floor(epoch / lr_step)
///     cosine:    rate * (1 + cos(pi (t - W) / (T - W))) / 2
///     poly:      rate * (1 - (t - W) / (T - W))^poly_power
///     constant:  rate
///
/// Source: PyTorch's LinearLR (from 1/W, over W - 1 steps), StepLR by epochs, CosineAnnealingLR and PolynomialLR in
/// closed form, one behind the other as in SequentialLR; https://docs.pytorch.org/docs/2.11/optim.html.
[[nodiscard]] double learning_rate(const config::TrainSection& train, const ScheduleTime& time);

}  // namespace xtasc::train
