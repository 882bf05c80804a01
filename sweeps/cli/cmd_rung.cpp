// xtasc-sweep rung: how far a run may train now. For batch scripts, which have no sweep file.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <thread>

#include "core/host.hpp"
#include "sweep/halving/rungs.hpp"
#include "sweeps/cli/commands.hpp"

namespace xtasc::sweeps {

namespace {

/// A driver holds the sweep's lock while it submits, which may take long.
constexpr double kLockSeconds = 600.0;
/// A network file system may show a little late what another node wrote.
constexpr int kLooks = 4;

/// Prints the epoch where the run pauses, nothing where it trains to its end; with exit code 85 why it may not go on.
ExitCode rung(const std::string& root, const std::string& id) {
  const sweep::SweepFolder folder{std::filesystem::path(root).lexically_normal()};
  const auto sweep = sweep::read_frozen_race(folder);
  check(sweep.has_value(), "there is no {}: `xtasc-sweep submit` writes it", folder.race().string());
  const auto run = std::ranges::find(sweep->runs, id, &sweep::PlannedRun::id);
  check(run != sweep->runs.end(), "{} does not know the run {}", folder.race().string(), id);
  const std::int64_t epoch = sweep::status_of(folder, *run).epoch;
  sweep::Pace pace;
  std::string waits_for;
  for (int look = 0; look < kLooks; ++look) {
    std::this_thread::sleep_for(std::chrono::seconds(look));
    sweep::Rungs rungs(*sweep);
    pace = rungs.pace_of(*run, epoch);
    if (pace.is_over_at(epoch) && !pace.is_halted && rungs.open_at(pace.until_epoch).empty()) {
      const FileLock lock = FileLock::take(folder.lock(), this_process(), kLockSeconds);
      rungs.decide();
      pace = rungs.pace_of(*run, epoch);
    }
    if (pace.is_halted || !pace.is_over_at(epoch)) {
      break;
    }
    waits_for = sweep::rung_text(pace.until_epoch, rungs.open_at(pace.until_epoch));
  }
  if (pace.is_halted || pace.is_over_at(epoch)) {
    fmt::print("{}\n", pace.is_halted ? fmt::format("halted {}", pace.text) : waits_for);
    return ExitCode::interrupted;
  }
  fmt::print("{}", pace.until_epoch > 0 ? fmt::format("{}\n", pace.until_epoch) : "");
  return ExitCode::success;
}

}  // namespace

Command add_rung(CLI::App& program) {
  CLI::App* app = program.add_subcommand("rung", "For batch scripts: the epoch that a run may train to now");
  const auto folder = std::make_shared<std::string>();
  const auto run = std::make_shared<std::string>();
  app->add_option("FOLDER", *folder, "The sweep's folder")->required();
  app->add_option("RUN", *run, "The run's id")->required();
  return {app, [=] { return rung(*folder, *run); }};
}

}  // namespace xtasc::sweeps
