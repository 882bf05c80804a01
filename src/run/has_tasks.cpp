#include "run/has_tasks.hpp"

#include <algorithm>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "task/task.hpp"

namespace xtasc::run {

void check_has_tasks(const std::vector<std::string>& held, const config::ModelSection& model, const std::string& pack) {
  const config::System& system = config::system_of(model);
  for (const task::Task& task : config::tasks_of(system)) {
    if (std::ranges::find(held, task.key) == held.end()) {
      fail_usage(
          "{}: the pack has no {}, which {} predicts here: pack the data with {}, or train without that task "
          "(model.tasks)",
          pack, task.truth, system.word, task.truth);
    }
  }
}

}  // namespace xtasc::run
