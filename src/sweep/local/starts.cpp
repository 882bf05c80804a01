#include "sweep/local/starts.hpp"

#include <fstream>

namespace xtasc::sweep {

void Starts::begin(const std::string& id) {
  counts_.try_emplace(id).first->second.steps = steps_of(id);
}

std::int64_t Starts::end(const std::string& id) {
  Count& count = counts_[id];
  count.fruitless = steps_of(id) > count.steps ? 0 : count.fruitless + 1;
  return count.fruitless;
}

std::int64_t Starts::steps_of(const std::string& id) const {
  std::ifstream stream(folder_.run(id).checkpoints() / "last" / "step");
  std::int64_t steps = 0;
  return stream >> steps ? steps : 0;
}

}  // namespace xtasc::sweep
