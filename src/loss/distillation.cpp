#include "loss/distillation.hpp"

#include <ATen/ATen.h>

#include <utility>

#include "core/error.hpp"

namespace xtasc::loss {

namespace {

at::Tensor normalised(const at::Tensor& x_nchw) {
  constexpr double kEpsilon = 1e-6;
  return x_nchw / ((x_nchw * x_nchw).sum(1, /*keepdim=*/true) + kEpsilon).sqrt();
}

std::vector<Term> with_terms_of(const Objective& objective, const config::DistillationSection& section) {
  std::vector<Term> terms = objective.terms();
  for (std::size_t t = 0; t < objective.tasks().size(); ++t) {
    const std::string_view key = objective.tasks()[t].key;
    terms.push_back({.name = fmt::format("distillation_{}", key),
                     .counts_to = t,
                     .share = section.of(key).weight,
                     .is_weighed = false});
  }
  return terms;
}

class DistillationObjective final : public Objective {
 public:
  DistillationObjective(std::unique_ptr<Objective> plain, const config::DistillationSection& section)
      : Objective(plain->tasks(), with_terms_of(*plain, section)), plain_(std::move(plain)) {}

  [[nodiscard]] std::vector<SummedLoss> losses(const model::Predictions& predictions, const Targets& targets,
                                               LossForm form) const override {
    std::vector<SummedLoss> losses = plain_->losses(predictions, targets, form);
    for (const task::Task& task : tasks()) {
      const auto student = predictions.features.find(task.key);
      if (student == predictions.features.end()) {
        const at::Tensor zero = at::zeros({}, losses.front().sum.options());
        losses.push_back({.sum = zero, .count = zero});
        continue;
      }
      std::vector<at::Tensor> teacher;
      for (std::size_t k = 0; k < student->second.size(); ++k) {
        const auto found = targets.find(feature_key(task.key, k));
        check(found != targets.end(), "the teacher of {} says nothing of this batch", task.name);
        teacher.push_back(found->second);
      }
      losses.push_back(distillation_loss(student->second, teacher));
    }
    return losses;
  }

 private:
  std::unique_ptr<Objective> plain_;
};

}  // namespace

std::string feature_key(std::string_view task, std::size_t k) {
  return fmt::format("{}.feature_{}", task, k);
}

SummedLoss distillation_loss(const std::vector<at::Tensor>& student, const std::vector<at::Tensor>& teacher) {
  SummedLoss loss;
  for (std::size_t k = 0; k < student.size(); ++k) {
    const at::Tensor& from = student[k];
    check(from.sizes() == teacher[k].sizes(), "distillation: a student's feature is {}, its teacher's {}",
          fmt::join(from.sizes(), " x "), fmt::join(teacher[k].sizes(), " x "));
    const at::Tensor distance = normalised(from) - normalised(teacher[k].detach());
    const at::Tensor sum = (distance * distance).sum() / static_cast<double>(from.size(2) * from.size(3));
    loss.sum = loss.sum.defined() ? loss.sum + sum : sum;
  }
  loss.count = at::full({}, student.front().size(0), loss.sum.options());
  return loss;
}

std::unique_ptr<Objective> with_distillation(std::unique_ptr<Objective> objective,
                                             const config::DistillationSection& section) {
  return std::make_unique<DistillationObjective>(std::move(objective), section);
}

}  // namespace xtasc::loss
