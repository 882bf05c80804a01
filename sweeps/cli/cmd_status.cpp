// xtasc-sweep status: what became of each run.
#include <time.h>  // NOLINT: nanosleep
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

#include "core/log.hpp"
#include "core/signals.hpp"
#include "core/terminal.hpp"
#include "core/text_table.hpp"
#include "sweep/inputs.hpp"
#include "sweep/other_runs.hpp"
#include "sweep/select.hpp"
#include "sweep/state.hpp"
#include "sweeps/cli/commands.hpp"

namespace xtasc::sweeps {

namespace {

constexpr int kWatchSeconds = 30;

std::string status_text(const sweep::Sweep& sweep) {
  const sweep::Queue queue = queue_if_it_answers(sweep);
  const auto statuses = sweep::statuses(sweep, queue);
  std::vector<std::vector<std::string>> cells = {{"run", "row", "seed", "state", "epoch", ""}};
  std::array<std::size_t, static_cast<std::size_t>(sweep::State::done) + 1> counts{};
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    const sweep::PlannedRun& run = sweep.runs[i];
    const sweep::RunStatus& status = statuses[i];
    ++counts[static_cast<std::size_t>(status.state)];
    cells.push_back({run.id, run.row, fmt::format("{}", run.config.run.seed), std::string(sweep::name(status.state)),
                     fmt::format("{}/{}", status.epoch, status.epochs), status.detail});
  }
  std::string summary;
  for (std::size_t state = counts.size(); state-- > 0;) {
    if (counts[state] > 0) {
      summary += fmt::format("{}{} {}", summary.empty() ? "" : ", ", counts[state],
                             sweep::name(static_cast<sweep::State>(state)));
    }
  }
  std::string text = fmt::format("{}\n{} run{}: {}\nin {}\n", text_table(cells), statuses.size(),
                                 statuses.size() == 1 ? "" : "s", summary, sweep.folder.string());
  for (const std::string& remark : {sweep::other_packs_text(sweep), sweep::strangers_text(sweep, queue)}) {
    text += remark.empty() ? "" : remark + "\n";
  }
  for (const std::string& reason : sweep::reasons_without_id(sweep::select(sweep, {}))) {
    text += fmt::format("no id yet: {}\n", reason);
  }
  return text;
}

bool wait_seconds(int seconds) {
  for (int tenths = 0; tenths < 10 * seconds && stop_signal() == 0; ++tenths) {
    const timespec time = {.tv_sec = 0, .tv_nsec = 100'000'000};
    ::nanosleep(&time, nullptr);
  }
  return stop_signal() == 0;
}

}  // namespace

Command add_status(CLI::App& program) {
  CLI::App* app = program.add_subcommand(
      "status",
      "Every run: waiting, queued, running at epoch e of E, done, interrupted, or failed with its last error");
  const auto choice = std::make_shared<SweepChoice>();
  const auto watch = std::make_shared<bool>(false);
  add_sweep_choice(*app, *choice);
  app->add_flag("--watch", *watch, fmt::format("Look again every {} seconds until Ctrl-C", kWatchSeconds));
  return {app, [=] {
            const sweep::Sweep sweep = choice->read();
            if (*watch) {
              install_stop_handlers();
            }
            for (const auto& [path, edited] : sweep::edited_packs(sweep)) {
              log_warning("{}", edited);
            }
            do {
              const bool clears = *watch && can_redraw(STDOUT_FILENO);
              const std::string text = fmt::format("{}{}", clears ? "\033[H\033[2J" : "", status_text(sweep));
              std::fputs(text.c_str(), stdout);
              std::fflush(stdout);
            } while (*watch && std::ferror(stdout) == 0 && wait_seconds(kWatchSeconds));  // run_program tells an error
            return ExitCode::success;
          }};
}

}  // namespace xtasc::sweeps
