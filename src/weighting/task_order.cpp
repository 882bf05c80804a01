#include "weighting/task_order.hpp"

#include <utility>

namespace xtasc::weighting {

std::vector<std::int64_t> order_of_others(std::int64_t task, std::int64_t num_tasks, RandomStream& stream) {
  std::vector<std::int64_t> others;
  for (std::int64_t other = 0; other < num_tasks; ++other) {
    if (other != task) {
      others.push_back(other);
    }
  }
  for (std::size_t i = others.size(); i > 1; --i) {
    std::swap(others[i - 1], others[stream.below(i)]);
  }
  return others;
}

}  // namespace xtasc::weighting
