#include "sweep/local/starts.hpp"

#include <sstream>

#include "core/error.hpp"
#include "io/file.hpp"

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
  constexpr std::size_t kMaxBytes = 32;  // more than a number has
  try {
    std::istringstream stream(io::read_head(folder_.run(id).checkpoints() / "last" / "step", kMaxBytes));
    std::int64_t steps = 0;
    return stream >> steps ? steps : 0;
  } catch (const Error&) {
    return 0;  // there is none, or what is there is no file
  }
}

}  // namespace xtasc::sweep
