#include "train/final_evaluation.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/log.hpp"
#include "io/atomic_file.hpp"
#include "run/metrics_log.hpp"
#include "train/epoch_record.hpp"
#include "train/evaluate.hpp"
#include "train/health.hpp"
#include "train/weights.hpp"

namespace xtasc::train {

bool evaluate_at_end(const config::RunConfig& config, const run::RunFolder& folder, const Learner& learner,
                     const data::Dataset& val, dist::Communicator& communicator, const Progress& progress,
                     const std::function<bool(std::int64_t images_done)>& goes_on) {
  const bool is_first = communicator.rank() == 0;
  const std::vector<run::EpochRecord> history =
      is_first ? run::read_metrics(folder.metrics(), run::Digests::needed) : std::vector<run::EpochRecord>();
  // The line of the epoch whose weights the learner has, with what they give on the validation split.
  const auto line_of = [&](std::int64_t epoch, std::string_view which) -> std::optional<std::string> {
    const auto start = std::chrono::steady_clock::now();
    const auto evaluated = evaluate_unless_stopped(config, learner, val, communicator, goes_on);
    if (!evaluated) {
      return std::nullopt;
    }
    const Evaluation& evaluation = *evaluated;
    require_finite(evaluation, {.epoch = epoch, .step = progress.step});
    if (!is_first) {
      return "";
    }
    const auto found = std::ranges::find(history, epoch, &run::EpochRecord::epoch);
    check(found != history.end(), "{} lacks epoch {}", folder.metrics().string(), epoch);
    run::EpochRecord record = *found;
    record.is_of_holdout = false;
    set_evaluation(record, evaluation);
    record.seconds = {{"evaluate", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()}};
    log_info("the validation split, by the weights of the {} epoch ({}): {}", which, epoch, evaluation_text(record));
    return run::to_json_line(record) + '\n';
  };
  auto lines = line_of(progress.epoch, progress.best_epoch == progress.epoch ? "last and best" : "last");
  if (lines && progress.best_epoch != progress.epoch) {
    if (is_first) {
      const Checkpoint best(folder.checkpoints() / "best");
      load_weights(learner, best.weights_path().string(), best.weights());
    }
    broadcast_state(learner, communicator);
    const auto of_best = line_of(progress.best_epoch, "best");
    lines = of_best ? std::optional(*of_best + *lines) : std::nullopt;
  }
  if (lines && is_first) {
    io::write_file_atomically(folder.final_metrics(), std::string_view(*lines));
  }
  return lines.has_value();
}

}  // namespace xtasc::train
