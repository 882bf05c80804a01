#include <ATen/ATen.h>

#include "weighting/methods.hpp"

namespace xtasc::weighting {

namespace {

class Equal final : public TaskWeighting {
 public:
  explicit Equal(const MethodOptions& options) : ones_(at::ones({options.num_tasks}, options.tensors)) {}

  [[nodiscard]] bool is_the_same_each_step() const override { return true; }

  StepWeights weigh(const at::Tensor& losses_t, const Moment& /*moment*/) override { return {ones_, losses_t.sum()}; }

 private:
  at::Tensor ones_;
};

}  // namespace

std::unique_ptr<TaskWeighting> make_equal(const MethodOptions& options) {
  return std::make_unique<Equal>(options);
}

}  // namespace xtasc::weighting
