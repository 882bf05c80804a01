#pragma once

#include <ATen/ATen.h>

#include <string_view>

#include "config/systems.hpp"
#include "loss/fused.hpp"
#include "loss/objective.hpp"
#include "support/systems.hpp"

namespace xtasc::test {

/// Predictions of the paper's two tasks, and their truth; undefined where a system has no such part.
struct PairPredictions {
  at::Tensor seg_nchw, depth_n1hw, seg_to_depth_n1hw, depth_to_seg_nchw;
};
struct PairTruth {
  at::Tensor labels_nhw, depth_n1hw;
};
/// The losses of a system with those tasks by name; sum undefined where there is none.
struct PairLosses {
  loss::SummedLoss seg, depth, seg_to_depth, depth_to_seg;
};

inline model::Predictions predictions_of(const PairPredictions& given) {
  model::Predictions predictions;
  const auto direct = [&](const char* task, const at::Tensor& tensor) {
    if (tensor.defined()) {
      predictions.direct.emplace(task, tensor);
    }
  };
  direct("seg", given.seg_nchw);
  direct("depth", given.depth_n1hw);
  if (given.seg_to_depth_n1hw.defined()) {
    predictions.transferred = {{{"seg", "depth"}, given.seg_to_depth_n1hw},
                               {{"depth", "seg"}, given.depth_to_seg_nchw}};
  }
  return predictions;
}

inline std::unique_ptr<loss::Objective> objective_of(std::string_view word, const config::LossSection& options) {
  const config::System& system = system_named(word);
  const auto transfers = system.has_transfer() ? std::vector<model::Transfer>{{"seg", "depth"}, {"depth", "seg"}}
                                               : std::vector<model::Transfer>{};
  return loss::make_objective(system.consistency, options, config::tasks_of(system), transfers);
}

inline PairLosses by_name(const loss::Objective& objective, const std::vector<loss::SummedLoss>& losses) {
  PairLosses found;
  for (std::size_t k = 0; k < losses.size(); ++k) {
    const std::string& name = objective.terms()[k].name;
    (name == "seg"            ? found.seg
     : name == "depth"        ? found.depth
     : name == "seg_to_depth" ? found.seg_to_depth
                              : found.depth_to_seg) = losses[k];
  }
  return found;
}

inline PairLosses pair_losses(std::string_view system, const config::LossSection& options, const PairPredictions& given,
                              const PairTruth& truth, loss::LossForm form = loss::LossForm::plain) {
  const auto objective = objective_of(system, options);
  return by_name(*objective, objective->losses(predictions_of(given),
                                               {{"seg", truth.labels_nhw}, {"depth", truth.depth_n1hw}}, form));
}

inline loss::FusedTerms fused_terms_of(std::string_view word, const config::LossSection& options,
                                       const PairPredictions& given) {
  const config::System& system = system_named(word);
  return loss::fused_terms(config::tasks_of(system), system.consistency, options, predictions_of(given));
}

inline PairLosses fused_pair_losses(std::string_view system, const config::LossSection& options,
                                    const PairPredictions& given, const PairTruth& truth) {
  return by_name(*objective_of(system, options),
                 loss::fused_losses(fused_terms_of(system, options, given), predictions_of(given),
                                    {{"seg", truth.labels_nhw}, {"depth", truth.depth_n1hw}}));
}

}  // namespace xtasc::test
