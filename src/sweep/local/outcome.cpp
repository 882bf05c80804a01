#include "sweep/local/outcome.hpp"

#include <utility>

#include "core/log.hpp"
#include "sweep/select.hpp"

namespace xtasc::sweep {

std::string title_of(const PlannedRun& run) {
  return fmt::format("{} ({}, seed {})", run.id, run.row, run.config.run.seed);
}

std::string Outcome::failed_text() const {
  return failed.empty() ? "" : fmt::format(", {} failed", failed.size());
}

void Outcome::tell(const Sweep& sweep, std::size_t num_selected) const {
  for (const auto& [entries, what] : {std::pair{&failed_before, "failed before"}, {&failed, "failed"}}) {
    for (const Entry& entry : *entries) {
      log_warning("{} {}: {}", title_of(*entry.run), what, entry.why);
    }
  }
  for (const Entry& other : left_alone) {
    log_info("{} is left to the cluster: {}", title_of(*other.run), other.why);
  }
  for (const Entry& waiting : left_waiting) {
    log_warning("{} is {}", title_of(*waiting.run), waiting.why);
  }
  for (const Entry& entry : halted) {
    log_info("{} is halted {}", title_of(*entry.run), entry.why);
  }
  if (const std::size_t num_failed = failed_before.size() + failed.size(); num_failed > 0) {
    log_info("{}", left_alone_text(sweep, num_failed));
  }
  log_info("{}: {} of {} done{}", sweep.name, num_done, num_selected,
           halted.empty() ? "" : fmt::format(", {} halted", halted.size()));
}

}  // namespace xtasc::sweep
