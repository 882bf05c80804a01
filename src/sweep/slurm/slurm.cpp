#include "sweep/slurm/slurm.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "core/command.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

extern char** environ;  // NOLINT: POSIX's name

namespace xtasc::sweep {

namespace {

using std::chrono::seconds;

/// One command may take so long. Slurm's own clients give up after MessageTimeout (10 s) and a few repetitions.
constexpr seconds kCommandTimeout{60};
constexpr seconds kLongestPause{30};

/// What squeue prints of a job where it has no JSON: a mark, then id of the array (or the job), elements, state,
/// reason, nodes and comment. Every Slurm has this form.
constexpr const char* kLineForm = "--format=xtasc|%F|%K|%T|%r|%N|%k";

CommandResult run_slurm(const std::vector<std::string>& words, std::optional<int> inherited = std::nullopt) {
  return run_command(words,
                     {.timeout = kCommandTimeout,
                      .inherited = inherited,
                      .if_missing = fmt::format("there is no {} here: is this a node of a Slurm cluster, and are "
                                                "its commands in PATH?",
                                                words.front())});
}

/// What Slurm's commands say when the controller is away, busy or just starting: to be asked again.
bool is_passing(const CommandResult& result) {
  constexpr std::array<std::string_view, 8> kWords = {"Unable to contact slurm controller",
                                                      "Socket timed out",
                                                      "Connection refused",
                                                      "Connection timed out",
                                                      "Zero Bytes were transmitted",
                                                      "Transport endpoint",
                                                      "Slurm temporarily unable to accept",
                                                      "Communication connection failure"};
  return result.timed_out || std::any_of(kWords.begin(), kWords.end(), [&](std::string_view word) {
           return result.errors.find(word) != std::string::npos;
         });
}

/// Whether squeue failed because this Slurm is from before 21.08 or was built without JSON.
bool lacks_json(const CommandResult& result) {
  return !result.timed_out &&
         (result.errors.find("json") != std::string::npos || result.errors.find("JSON") != std::string::npos);
}

std::string no_fault(const std::string& answer) {
  static_cast<void>(answer);
  return {};
}

/// The line that says what was wrong, without Slurm's prefix.
std::string reason_of(const CommandResult& result, const std::string& command) {
  if (result.timed_out) {
    return fmt::format("{} gave no answer in {} s", command, kCommandTimeout.count());
  }
  const std::vector<std::string> lines = answer_lines(result.errors);
  for (const std::string& line : lines) {
    if (const auto error = line.find("error: "); error != std::string::npos) {
      return fmt::format("{}: {}", command, line.substr(error + 7));
    }
  }
  if (lines.empty()) {
    return fmt::format("{} ended with exit code {}", command, result.exit_code);
  }
  const std::string prefix = command + ": ";
  return lines.front().starts_with(prefix) ? lines.front() : prefix + lines.front();
}

/// Takes variables that begin with `prefix` out of this process's environment, but for those named.
void forget_variables(std::string_view prefix, const std::vector<std::string_view>& kept) {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    if (name.starts_with(prefix) && std::ranges::find(kept, name) == kept.end()) {
      names.emplace_back(name);
    }
  }
  for (const std::string& name : names) {
    ::unsetenv(name.c_str());
  }
}

}  // namespace

CommandResult Slurm::ask(const std::vector<std::string>& words,
                         const std::function<std::string(const std::string&)>& fault_in) const {
  const auto end = std::chrono::steady_clock::now() + patience_;
  seconds pause{1};
  while (true) {
    CommandResult result = run_slurm(words);
    const bool has_answered = result.exit_code == 0 && !result.timed_out;
    const std::string fault = has_answered ? fault_in(result.output) : std::string();
    if (has_answered ? fault.empty() : !is_passing(result)) {
      return result;
    }
    const std::string reason =
        has_answered ? fmt::format("{}: {}", words.front(), fault) : reason_of(result, words.front());
    check(std::chrono::steady_clock::now() + pause < end, "{}; asked for {} s: is the controller up?", reason,
          patience_.count());
    log_warning("{}; asking again in {} s", reason, pause.count());
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
}

std::string Slurm::output_of(const std::vector<std::string>& words) const {
  const CommandResult result = ask(words, no_fault);
  check(result.exit_code == 0, "{}", reason_of(result, words.front()));
  return result.output;
}

std::vector<SlurmJob> Slurm::queue() const {
  // What a user likes to see of the queue (SQUEUE_PARTITION, SQUEUE_STATES, ...) would hide jobs of ours.
  forget_variables("SQUEUE_", {});
  // SLURM_BITSTR_LEN: else the elements that wait are cut off after 64 characters, "0-3,5,9,...".
  ::setenv("SLURM_BITSTR_LEN", "0", /*overwrite=*/1);
  const CommandResult answer = ask({"squeue", "--me", "--states=all", "--json"}, fault_in_queue);
  if (answer.exit_code == 0) {
    return parse_queue(answer.output);
  }
  const std::string reason = reason_of(answer, "squeue");
  check(lacks_json(answer), "{}", reason);
  const CommandResult plain = ask({"squeue", "--me", "--states=all", kLineForm}, no_fault);
  check(plain.exit_code == 0,
        "{}: Slurm >= 21.08 with its JSON serializer is needed, or else a squeue that takes --format ({})", reason,
        reason_of(plain, "squeue"));
  return parse_plain_queue(plain.output);
}

SubmitAnswer Slurm::submit(const std::string& script, int lock, const std::vector<std::string>& after) const {
  if (std::getenv("SLURM_JOB_ID") != nullptr) {
    // In the shell of another job: sbatch hands its variables on, and srun in the new job would take them for its own.
    forget_variables("SLURM_", {"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT"});
    forget_variables("PMI", {});
  }
  std::vector<std::string> words = {"sbatch", "--parsable"};
  if (!after.empty()) {
    words.push_back(fmt::format("--dependency=afterany:{}", fmt::join(after, ":")));
  }
  words.push_back(script);
  const CommandResult result = run_slurm(words, lock);
  const std::optional<std::string> id = job_id_of(result.output);
  const bool has_ended_well = result.exit_code == 0 && !result.timed_out;
  if (has_ended_well && id) {
    return {.job = *id};
  }
  if (has_ended_well || id) {
    return {.puzzle = fmt::format("sbatch ended with exit code {} and printed {}", result.exit_code,
                                  quoted_answer(result.output))};
  }
  const std::string reason = reason_of(result, "sbatch");
  check(is_passing(result), "Slurm refused the job: {} (script {})", reason, script);
  log_warning("{}", reason);
  return {};
}

void Slurm::cancel(const std::vector<std::string>& jobs) const {
  std::vector<std::string> words = {"scancel", "--quiet"};
  words.insert(words.end(), jobs.begin(), jobs.end());
  static_cast<void>(output_of(words));
}

std::int64_t Slurm::max_array_size() const {
  const std::string text = output_of({"scontrol", "show", "config"});
  const auto key = text.find("\nMaxArraySize");
  const auto value = text.find_first_of("0123456789", key);
  check(key != std::string::npos && value != std::string::npos, "scontrol show config says no MaxArraySize");
  const std::int64_t size = std::stoll(text.substr(value, 9));
  check(size > 0, "this cluster takes no job arrays (MaxArraySize = 0 in scontrol show config), which submit hands in");
  return size;
}

}  // namespace xtasc::sweep
