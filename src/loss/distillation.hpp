#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.hpp"
#include "loss/objective.hpp"

namespace xtasc::loss {

/// Where a batch's Targets hold a teacher's feature: that of place `k` in model::Predictions::features of its task.
[[nodiscard]] std::string feature_key(std::string_view task, std::size_t k);

/// How far a student's features of a task are from its teacher's, (N, C, h, w) each:
///
///     sum over features of the mean over n, h, w of  |norm(student) - norm(teacher)|^2,
///     norm(x) = x / sqrt(|x|^2 + 1e-6) over the channels
///
/// `count` is N. Source: Li and Bilen 2020, arXiv:2007.06889; its code, https://github.com/VICO-UoE/KD4MTL.
/// \throws Error where the two are not of one shape
[[nodiscard]] SummedLoss distillation_loss(const std::vector<at::Tensor>& student,
                                           const std::vector<at::Tensor>& teacher);

/// The objective of a student: that of its network, and behind its terms a term "distillation_TASK" a task, which no
/// method weighs and whose factor is the section's weight_TASK. Without features, as in evaluation, they count nothing.
[[nodiscard]] std::unique_ptr<Objective> with_distillation(std::unique_ptr<Objective> objective,
                                                           const config::DistillationSection& section);

}  // namespace xtasc::loss
