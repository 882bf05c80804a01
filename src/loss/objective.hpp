#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.hpp"
#include "config/systems.hpp"
#include "loss/direct.hpp"
#include "model/network.hpp"
#include "task/task.hpp"

namespace xtasc::loss {

/// The truth of a batch, by the task's key: of classes (N, H, W) int64, 255 = ignored; of depth and of vectors (N,
/// channels, H, W), in the predictions' type, 0 = invalid. Where images lack labels of a task, which of them have some,
/// by task::flags_key(): (N) uint8. Beside it what teachers say of it, see distillation.hpp.
using Targets = std::map<std::string, at::Tensor, std::less<>>;

/// Which images have labels of the task, (N) uint8; undefined: all.
[[nodiscard]] at::Tensor flags_in(const Targets& targets, std::string_view task);

/// One summand of the objective: what is known of it before any batch.
struct Term {
  std::string name;        ///< "seg", "seg_to_depth": in metrics.jsonl and files
  std::size_t counts_to;   ///< index of the task whose loss L_i (eq. 11) it is part of
  double share;            ///< its factor there
  bool is_weighed = true;  ///< false: no part of L_i, added with this factor behind what a method makes of the L_i
};

enum class LossForm {
  plain,  ///< by ATen's operations, each task's graph apart from the others'
  fused,  ///< one pass over everything, where there is one (fused.hpp): the same but for rounding
};

/// What a system minimises: a list of terms, each the mean of something over all images of all ranks, of which each
/// task's loss is a weighted sum,
///
///     L_i = sum over the terms k that count to i of share_k * mean_k
///
/// This list has one order, and everything that holds a number a term holds them in it.
class Objective {
 public:
  virtual ~Objective() = default;
  Objective(const Objective&) = delete;
  Objective& operator=(const Objective&) = delete;

  [[nodiscard]] const std::vector<Term>& terms() const { return terms_; }
  [[nodiscard]] const task::Tasks& tasks() const { return tasks_; }

  /// The terms of one rank's images, before their division. What a batch without any truth of a task counts is 0, and
  /// its gradient too.
  [[nodiscard]] virtual std::vector<SummedLoss> losses(const model::Predictions& predictions, const Targets& targets,
                                                       LossForm form = LossForm::plain) const = 0;

 protected:
  Objective(task::Tasks tasks, std::vector<Term> terms) : tasks_(std::move(tasks)), terms_(std::move(terms)) {}

 private:
  task::Tasks tasks_;
  std::vector<Term> terms_;
};

/// Whether a transferred prediction is held to the other task's direct one (detached); else to its truth.
[[nodiscard]] bool holds_to_direct(config::Consistency consistency);

/// The direct losses of all tasks, then the losses of the transferred predictions. With T tasks, of which i hands
/// predictions on to n_i others,
///
///     L_i = (1 - lambda_i) l_i + lambda_i / n_i * sum over j of l_{i->j}
///
/// xtc:   a transferred prediction is held to the other task's direct prediction, detached (eq. 3), where that task's
///        truth is known, and everywhere in an image without labels of it: depth by options.transferred_depth, classes
///        by options.transferred_segmentation, vectors by the cosine.
/// align: it is held to the ground truth by the direct losses (eq. 8).
///
/// Of the transferred predictions a step may hand over some only: the others' losses are 0 and count nothing, and n_i
/// is how many of task i's there are each time.
///
/// \param transfers  of the network, in its order \param at_once  how many of each task's a step computes; 0: all
/// \param options    lambda_3 is for the third task and those behind it
/// Source: Nakano et al. 2021, eq. 3, 8, 11 to 15; where SPEC section 2 departs from the 2021 code, SPEC holds, and the
/// functions of direct.hpp and transferred.hpp say how.
[[nodiscard]] std::unique_ptr<Objective> make_objective(config::Consistency consistency,
                                                        const config::LossSection& options, const task::Tasks& tasks,
                                                        const std::vector<model::Transfer>& transfers,
                                                        std::int64_t at_once = 0);

}  // namespace xtasc::loss
