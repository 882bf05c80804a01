#include "report/checkpoint.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "core/error.hpp"

namespace xtasc::report {

namespace {

constexpr std::array<std::string_view, 3> kNames = {"best", "last", "mean10"};  // as Checkpoint has them

}  // namespace

std::string_view name(Checkpoint checkpoint) {
  return kNames.at(static_cast<std::size_t>(checkpoint));
}

std::vector<std::string> checkpoint_names() {
  return {kNames.begin(), kNames.end()};
}

Checkpoint checkpoint_of(std::string_view name) {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) {
    fail_usage("there is no checkpoint \"{}\"; known are {}", name, fmt::join(kNames, ", "));
  }
  return static_cast<Checkpoint>(found - kNames.begin());
}

std::string text_of(Checkpoint checkpoint) {
  return fmt::format("{} {}", name(checkpoint),
                     checkpoint == Checkpoint::mean10 ? "(last ten epochs' mean)" : "checkpoint");
}

const run::EpochRecord* shown_of(const run::RunSummary& run, Checkpoint checkpoint) {
  const auto if_there = [](const std::optional<run::EpochRecord>& record) { return record ? &*record : nullptr; };
  switch (checkpoint) {
    case Checkpoint::best:
      return if_there(run.best);
    case Checkpoint::last:
      return &run.last;
    case Checkpoint::mean10:
      return if_there(run.mean10);
  }
  fail("unknown checkpoint {}", static_cast<int>(checkpoint));
}

void leave_out_runs_without(Checkpoint checkpoint, run::LoadedRuns& loaded) {
  if (checkpoint != Checkpoint::mean10) {
    return;
  }
  for (const run::RunSummary& run : loaded.runs) {
    if (!run.mean10) {
      loaded.left_out.push_back(
          {run.folder,
           run.config.data.holdout > 0.0
               ? fmt::format("mean10 is of the last {} epochs on the validation split, which this run did not "
                             "look at before its end (data.holdout = {})",
                             run::kNumMeanEpochs, run.config.data.holdout)
               : fmt::format("mean10 is of the last {} epochs, and this run has {}", run::kNumMeanEpochs,
                             run.last.epoch)});
    }
  }
  std::erase_if(loaded.runs, [](const run::RunSummary& run) { return !run.mean10; });
  std::ranges::sort(loaded.left_out, {}, &run::LeftOutRun::folder);
}

}  // namespace xtasc::report
