#include "sweep/slurm/slurm.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>
#include <thread>

#include "core/command.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

namespace xtasc::sweep {

namespace {

using nlohmann::json;
using std::chrono::seconds;

/// One command may take so long. Slurm's own clients give up after MessageTimeout (10 s) and a few repetitions.
constexpr seconds kCommandTimeout{60};
constexpr seconds kLongestPause{30};

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

/// The line that says what was wrong, without Slurm's prefix.
std::string reason_of(const CommandResult& result, const std::string& command) {
  if (result.timed_out) {
    return fmt::format("{} gave no answer in {} s", command, kCommandTimeout.count());
  }
  for (std::size_t begin = 0; begin < result.errors.size();) {
    const auto end = std::min(result.errors.find('\n', begin), result.errors.size());
    const std::string line = result.errors.substr(begin, end - begin);
    const auto error = line.find("error: ");
    if (error != std::string::npos) {
      return fmt::format("{}: {}", command, line.substr(error + 7));
    }
    begin = end + 1;
  }
  return result.errors.empty() ? fmt::format("{} ended with exit code {}", command, result.exit_code)
                               : fmt::format("{}: {}", command, result.errors.substr(0, result.errors.find('\n')));
}

std::string no_fault(const std::string& answer) {
  static_cast<void>(answer);
  return {};
}

std::string first_word(const std::string& text) {
  return text.substr(0, text.find_first_of(";\n"));
}

// ---- squeue --json, as it differs between versions: 17 | {"set": true, "number": 17}; "RUNNING" | ["RUNNING"]

std::optional<std::int64_t> number_of(const json& job, const char* key) {
  const auto found = job.find(key);
  if (found == job.end()) {
    return std::nullopt;
  }
  if (found->is_number_integer()) {
    return found->get<std::int64_t>();
  }
  if (found->is_object() && found->value("set", false) && found->contains("number")) {
    return found->at("number").get<std::int64_t>();
  }
  return std::nullopt;
}

std::string text_of(const json& job, const char* key) {
  const auto found = job.find(key);
  if (found == job.end()) {
    return {};
  }
  if (found->is_array()) {  // the first is the state, more are flags such as REQUEUED
    return found->empty() || !found->front().is_string() ? std::string() : found->front().get<std::string>();
  }
  if (found->is_object()) {  // a comment by several authors
    return found->value("job", std::string());
  }
  return found->is_string() ? found->get<std::string>() : std::string();
}

bool has_flag(const json& job, const char* key, const char* flag) {
  const auto found = job.find(key);
  return found != job.end() && found->is_array() && std::find(found->begin(), found->end(), json(flag)) != found->end();
}

std::string token_of(const std::string& comment) {
  constexpr std::string_view kMark = "xtasc:";
  const auto mark = comment.find(kMark);
  if (mark == std::string::npos) {
    return {};
  }
  const auto begin = mark + kMark.size();
  return comment.substr(begin, comment.find_first_not_of("0123456789abcdef", begin) - begin);
}

SlurmJob read_job(const json& job) {
  SlurmJob read;
  read.token = token_of(text_of(job, "comment"));
  const std::int64_t id = number_of(job, "job_id").value_or(0);
  const std::int64_t array = number_of(job, "array_job_id").value_or(0);
  const auto element = number_of(job, "array_task_id");
  const std::string waiting = text_of(job, "array_task_string");
  read.array = array == 0 ? id : array;
  if (array != 0 && !waiting.empty()) {
    read.elements = parse_elements(waiting);
  } else {
    const std::int64_t index = array == 0 ? 0 : element.value_or(0);
    read.elements = {{index, index}};
  }
  read.state = text_of(job, "job_state");
  if (has_flag(job, "job_state", "COMPLETING")) {
    read.state = "COMPLETING";
  }
  read.reason = text_of(job, "state_reason");
  if (read.reason == "None") {
    read.reason.clear();
  }
  read.nodes = text_of(job, "nodes");
  return read;
}

}  // namespace

bool is_active(const std::string& state) {
  constexpr std::array<std::string_view, 10> kOver = {"COMPLETED", "CANCELLED", "FAILED",    "TIMEOUT",
                                                      "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "OUT_OF_MEMORY",
                                                      "DEADLINE",  "REVOKED"};
  return !state.empty() && std::find(kOver.begin(), kOver.end(), state) == kOver.end();
}

std::vector<std::pair<std::int64_t, std::int64_t>> parse_elements(const std::string& text) {
  std::vector<std::pair<std::int64_t, std::int64_t>> ranges;
  const char* at = text.data();
  const char* end = at + std::min(text.find('%'), text.size());
  while (at < end) {
    std::pair<std::int64_t, std::int64_t> range;
    auto [stop, error] = std::from_chars(at, end, range.first);
    check(error == std::errc(), "\"{}\" is no list of array elements", text);
    range.second = range.first;
    if (stop < end && *stop == '-') {
      std::tie(stop, error) = [&, from = stop + 1] {
        const auto result = std::from_chars(from, end, range.second);
        return std::pair(result.ptr, result.ec);
      }();
      check(error == std::errc(), "\"{}\" is no list of array elements", text);
    }
    ranges.push_back(range);
    check(stop == end || *stop == ',', "\"{}\" is no list of array elements", text);
    at = stop == end ? end : stop + 1;
  }
  return ranges;
}

std::vector<SlurmJob> parse_queue(const std::string& text) {
  try {
    std::vector<SlurmJob> jobs;
    const std::string fault = fault_in_queue(text);
    check(fault.empty(), "squeue: {}", fault);
    const json read = json::parse(text);
    for (const json& job : read.at("jobs")) {
      if (SlurmJob ours = read_job(job); !ours.token.empty()) {
        jobs.push_back(std::move(ours));
      }
    }
    return jobs;
  } catch (const json::exception& error) {
    fail("squeue --json printed what is not its JSON: {}", error.what());
  }
}

std::string fault_in_queue(const std::string& text) {
  try {
    const json read = json::parse(text);
    const auto errors = read.find("errors");
    if (errors == read.end() || !errors->is_array() || errors->empty()) {
      return {};
    }
    const std::string description = text_of(errors->front(), "description");
    return description.empty() ? "it says that it failed, and not why" : description;
  } catch (const json::exception&) {
    return {};  // not JSON at all: parse_queue says so
  }
}

std::string Slurm::ask(const std::vector<std::string>& words,
                       const std::function<std::string(const std::string&)>& fault_in) const {
  const auto end = std::chrono::steady_clock::now() + patience_;
  seconds pause{1};
  while (true) {
    const CommandResult result = run_command(words, {.timeout = kCommandTimeout});
    const bool has_answered = result.exit_code == 0 && !result.timed_out;
    const std::string fault = has_answered ? fault_in(result.output) : std::string();
    if (has_answered && fault.empty()) {
      return result.output;
    }
    const std::string reason =
        has_answered ? fmt::format("{}: {}", words.front(), fault) : reason_of(result, words.front());
    check(has_answered || is_passing(result), "{}", reason);
    check(std::chrono::steady_clock::now() + pause < end, "{}; asked for {} s: is the controller up?", reason,
          patience_.count());
    log_warning("{}; asking again in {} s", reason, pause.count());
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
}

std::vector<SlurmJob> Slurm::queue() const {
  // SLURM_BITSTR_LEN: else the elements that wait are cut off after 64 characters, "0-3,5,9,...".
  ::setenv("SLURM_BITSTR_LEN", "0", /*overwrite=*/1);
  return parse_queue(ask({"squeue", "--me", "--states=all", "--json"}, fault_in_queue));
}

std::optional<std::string> Slurm::submit(const std::string& script, int lock,
                                         const std::vector<std::string>& after) const {
  std::vector<std::string> words = {"sbatch", "--parsable"};
  if (!after.empty()) {
    words.push_back(fmt::format("--dependency=afterany:{}", fmt::join(after, ":")));
  }
  words.push_back(script);
  const CommandResult result = run_command(words, {.timeout = kCommandTimeout, .inherited = lock});
  if (result.exit_code == 0 && !result.timed_out && !result.output.empty()) {
    return first_word(result.output);
  }
  const std::string reason = reason_of(result, "sbatch");
  check(is_passing(result), "Slurm refused the job: {} (script {})", reason, script);
  log_warning("{}", reason);
  return std::nullopt;
}

void Slurm::cancel(const std::vector<std::string>& jobs) const {
  std::vector<std::string> words = {"scancel", "--quiet"};
  words.insert(words.end(), jobs.begin(), jobs.end());
  static_cast<void>(ask(words, no_fault));
}

std::int64_t Slurm::max_array_size() const {
  const std::string text = ask({"scontrol", "show", "config"}, no_fault);
  const auto key = text.find("\nMaxArraySize");
  const auto value = text.find_first_of("0123456789", key);
  check(key != std::string::npos && value != std::string::npos, "scontrol show config says no MaxArraySize");
  return std::stoll(text.substr(value, 9));
}

}  // namespace xtasc::sweep
