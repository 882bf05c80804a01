#pragma once

#include <cstdint>
#include <functional>

#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "run/run_folder.hpp"
#include "train/checkpoint.hpp"
#include "train/setup.hpp"

namespace xtasc::train {

/// The end of a run that held images out (data.holdout): the validation split, which nothing has looked at before, by
/// the weights of the best epoch and of the last, into final.jsonl. The learner has the last epoch's before and the
/// best epoch's after it. Collective. \param goes_on  see evaluate_unless_stopped() \returns false when it was stopped:
/// no file was written, and the learner has either weights \throws Diverged where a number is not finite; Error where
/// `best` or metrics.jsonl cannot be read
[[nodiscard]] bool evaluate_at_end(const config::RunConfig& config, const run::RunFolder& folder,
                                   const Learner& learner, const data::Dataset& val, dist::Communicator& communicator,
                                   const Progress& progress,
                                   const std::function<bool(std::int64_t images_done)>& goes_on);

}  // namespace xtasc::train
