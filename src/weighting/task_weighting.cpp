#include "weighting/task_weighting.hpp"

#include "core/error.hpp"

namespace xtasc::weighting {

std::unique_ptr<TaskWeighting> make_task_weighting(const config::WeightingSection& section,
                                                   const at::TensorOptions& options) {
  switch (section.method) {
    case config::Weighting::equal:
      return make_equal(options);
    case config::Weighting::uncertainty:
      return make_uncertainty(options);
  }
  fail("unknown weighting method {}", static_cast<int>(section.method));
}

}  // namespace xtasc::weighting
