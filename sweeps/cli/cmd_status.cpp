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
#include "io/atomic_file.hpp"
#include "report/publish.hpp"
#include "sweep/inputs.hpp"
#include "sweep/other_runs.hpp"
#include "sweep/select.hpp"
#include "sweep/state.hpp"
#include "sweeps/cli/commands.hpp"
#include "sweeps/cli/status_page.hpp"

namespace xtasc::sweeps {

namespace {

constexpr int kWatchSeconds = 30;

SweepState state_of(const sweep::Sweep& sweep) {
  const sweep::Queue queue = queue_if_it_answers(sweep);
  SweepState state{.statuses = sweep::statuses(sweep, queue), .summary = {}, .remarks = {}};
  std::array<std::size_t, static_cast<std::size_t>(sweep::State::done) + 1> counts{};
  for (const sweep::RunStatus& status : state.statuses) {
    ++counts[static_cast<std::size_t>(status.state)];
  }
  for (std::size_t of = counts.size(); of-- > 0;) {
    if (counts[of] > 0) {
      state.summary += fmt::format("{}{} {}", state.summary.empty() ? "" : ", ", counts[of],
                                   sweep::name(static_cast<sweep::State>(of)));
    }
  }
  state.summary =
      fmt::format("{} run{}: {}", state.statuses.size(), state.statuses.size() == 1 ? "" : "s", state.summary);
  for (const std::string& remark : {sweep::other_packs_text(sweep), sweep::strangers_text(sweep, queue)}) {
    if (!remark.empty()) {
      state.remarks.push_back(remark);
    }
  }
  for (const std::string& reason : sweep::reasons_without_id(sweep::select(sweep, {}))) {
    state.remarks.push_back(fmt::format("no id yet: {}", reason));
  }
  return state;
}

std::string status_text(const sweep::Sweep& sweep, const SweepState& state) {
  std::vector<std::vector<std::string>> cells = {{"run", "row", "seed", "state", "epoch", ""}};
  for (std::size_t i = 0; i < state.statuses.size(); ++i) {
    const sweep::PlannedRun& run = sweep.runs[i];
    const sweep::RunStatus& status = state.statuses[i];
    cells.push_back({run.id, run.row, fmt::format("{}", run.config.run.seed), std::string(sweep::name(status.state)),
                     fmt::format("{}/{}", status.epoch, status.epochs), status.detail});
  }
  std::string text = fmt::format("{}\n{}\nin {}\n", text_table(cells), state.summary, sweep.folder.string());
  for (const std::string& remark : state.remarks) {
    text += remark + "\n";
  }
  return text;
}

/// A page that cannot be written, as on a share that is away, ends no watch.
void write_page_or_warn(const sweep::Sweep& sweep, const SweepState& state, const std::string& path,
                        int reload_seconds) {
  try {
    write_status_page(sweep, state, path, reload_seconds);
  } catch (const Error& error) {
    log_warning("{}", error.what());
  }
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
  const auto html = std::make_shared<std::string>();
  add_sweep_choice(*app, *choice);
  app->add_option("--html", *html,
                  "Write the states, and tables and curves of what there is, as one page that a browser shows; with "
                  "--watch it is kept up to date and loads itself again")
      ->type_name("FILE");
  app->add_flag("--watch", *watch, fmt::format("Look again every {} seconds until Ctrl-C", kWatchSeconds));
  return {app,
          [=] {
            const sweep::Sweep sweep = choice->read();
            for (const auto& [path, edited] : sweep::edited_packs(sweep)) {
              log_warning("{}", edited);
            }
            if (!html->empty()) {
              io::check_can_write_page("--html", *html);
            }
            SweepState state;
            do {
              state = state_of(sweep);
              const bool clears = *watch && can_redraw(STDOUT_FILENO);
              const std::string text = fmt::format("{}{}", clears ? "\033[H\033[2J" : "", status_text(sweep, state));
              report::print(text);
              if (*watch && !html->empty()) {
                write_page_or_warn(sweep, state, *html, kWatchSeconds);
              }
            } while (*watch && wait_seconds(kWatchSeconds));
            if (!html->empty()) {
              state = *watch ? state_of(sweep) : state;
              write_status_page(sweep, state, *html, 0);  // nobody keeps it from here on
            }
            return ExitCode::success;
          },
          [=] { return *watch ? kLookPatience : std::chrono::seconds(0); }};
}

}  // namespace xtasc::sweeps
