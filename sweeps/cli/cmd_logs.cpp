// xtasc-sweep logs: what a run said.
#include <time.h>  // NOLINT: nanosleep
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "core/signals.hpp"
#include "io/file.hpp"
#include "sweep/inputs.hpp"
#include "sweep/select.hpp"
#include "sweep/state.hpp"
#include "sweeps/cli/commands.hpp"

namespace xtasc::sweeps {

namespace {

/// Prints what the file holds from `position` on; nothing where there is none yet. \returns where it ends
off_t print_from(const std::filesystem::path& path, off_t position) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return position;
  }
  const io::Descriptor file = io::open_file(path);
  std::array<char, 65536> buffer;
  for (ssize_t got = 0; (got = ::pread(file.get(), buffer.data(), buffer.size(), position)) != 0; position += got) {
    check(got > 0, "cannot read '{}': {}", path.string(), errno_text(errno));
    const auto count = static_cast<std::size_t>(got);
    const bool is_printed = std::fwrite(buffer.data(), 1, count, stdout) == count;
    check(is_printed, "cannot write to standard output: {}", errno_text(errno));
  }
  const bool is_printed = std::fflush(stdout) == 0;
  check(is_printed, "cannot write to standard output: {}", errno_text(errno));
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
  return {app,
          [=] {
            const sweep::Sweep sweep = choice->read();
            const auto runs = sweep::select(sweep, {*pattern});
            if (runs.size() > 1) {
              std::vector<std::string> names;
              names.reserve(runs.size());
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
            off_t position = print_from(log, 0);
            while (*follow && stop_signal() == 0 && is_under_way(sweep::status_of(folder, *runs.front()).state)) {
              const timespec time = {.tv_sec = 0, .tv_nsec = 500'000'000};
              ::nanosleep(&time, nullptr);
              position = print_from(log, position);
            }
            print_from(log, position);
            return ExitCode::success;
          },
          [=] { return *follow ? kLookPatience : std::chrono::seconds(0); }};
}

}  // namespace xtasc::sweeps
