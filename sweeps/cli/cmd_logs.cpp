// xtasc-sweep logs: what a run said.
#include <time.h>  // NOLINT: nanosleep
#include <CLI/CLI.hpp>

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>

#include "core/signals.hpp"
#include "sweep/inputs.hpp"
#include "sweep/select.hpp"
#include "sweep/state.hpp"
#include "sweeps/cli/commands.hpp"

namespace xtasc::sweeps {

namespace {

/// Prints what the file holds from `position` on. \returns where it ends
std::streamoff print_from(const std::filesystem::path& path, std::streamoff position) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream.seekg(position)) {
    return position;
  }
  std::array<char, 65536> buffer{};
  while (stream.read(buffer.data(), buffer.size()), stream.gcount() > 0) {
    const auto count = static_cast<std::size_t>(stream.gcount());
    check(std::fwrite(buffer.data(), 1, count, stdout) == count, "cannot write to standard output: {}",
          errno_text(errno));
    position += stream.gcount();
  }
  std::fflush(stdout);
  return position;
}

bool is_under_way(sweep::State state) {
  return state == sweep::State::running || state == sweep::State::queued || state == sweep::State::waiting;
}

}  // namespace

Command add_logs(CLI::App& program) {
  CLI::App* app = program.add_subcommand("logs", "What a run said, all attempts");
  const auto choice = std::make_shared<SweepChoice>();
  const auto pattern = std::make_shared<std::string>();
  const auto follow = std::make_shared<bool>(false);
  add_sweep_choice(*app, *choice);
  app->add_option("RUN", *pattern, "The run: its id, or a part of it")->required();
  app->add_flag("--follow", *follow, "Go on until the run ends");
  return {app, [=] {
            const sweep::Sweep sweep = choice->read();
            const auto runs = sweep::select(sweep, {*pattern});
            if (runs.size() > 1) {
              std::vector<std::string> names;
              for (const sweep::PlannedRun* run : runs) {
                names.push_back(fmt::format("{}  {}, seed {}", run->id, run->row, run->config.run.seed));
              }
              throw Error(fmt::format("{} runs are like \"{}\": give the id of one", runs.size(), *pattern),
                          ExitCode::usage, names);
            }
            sweep::require_ids(sweep, runs, "so there is no log to look for");
            const sweep::SweepFolder folder{sweep.folder};
            const auto log = sweep::status_of(folder, *runs.front()).folder / "log.txt";
            std::error_code ignored;
            check(*follow || std::filesystem::exists(log, ignored), "{} has said nothing yet: there is no {}",
                  runs.front()->id, log.string());
            install_stop_handlers();
            std::streamoff position = print_from(log, 0);
            while (*follow && stop_signal() == 0 && is_under_way(sweep::status_of(folder, *runs.front()).state)) {
              const timespec time = {.tv_sec = 0, .tv_nsec = 500'000'000};
              ::nanosleep(&time, nullptr);
              position = print_from(log, position);
            }
            print_from(log, position);
            return ExitCode::success;
          }};
}

}  // namespace xtasc::sweeps
