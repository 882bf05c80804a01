#include "sweep/slurm/answers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>
#include <tuple>
#include <utility>

#include "core/error.hpp"

namespace xtasc::sweep {

namespace {

using nlohmann::json;

/// By which our lines of the plain form are known among those of a site's wrappers and plugins.
constexpr std::string_view kLineMark = "xtasc|";
constexpr std::size_t kFields = 7;

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::int64_t id_in(const std::string& text, const std::string& line) {
  check(is_number(text) && text.size() < 19, "squeue printed \"{}\", where \"{}\" should be a job's id", line, text);
  return std::stoll(text);
}

/// The fields of one of our lines; the last one has what is left, other signs of division included.
std::vector<std::string> fields_in(const std::string& line) {
  std::vector<std::string> fields;
  std::size_t begin = 0;
  while (fields.size() + 1 < kFields) {
    const std::size_t end = line.find('|', begin);
    if (end == std::string::npos) {
      break;
    }
    fields.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  fields.push_back(line.substr(begin));
  return fields;
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

SlurmJob read_line(const std::vector<std::string>& fields, const std::string& line) {
  const std::string& elements = fields[2];  // "3", "0-3,7%2", or "N/A" of a job that is no array
  SlurmJob job{.token = token_of(fields[6]),
               .array = id_in(fields[1], line),
               .state = fields[3],
               .reason = fields[4] == "None" ? "" : fields[4],
               .nodes = fields[5]};
  if (elements == "N/A") {
    job.elements = {{0, 0}};
  } else {
    job.elements = parse_elements(elements);
  }
  return job;
}

/// The JSON of an answer: it begins a line and ends with the brace that closes it, whatever others print before and
/// behind it. nullopt: there is none
std::optional<json> json_in(const std::string& text) {
  for (std::size_t begin = 0; begin < text.size(); begin = std::min(text.find('\n', begin), text.size()) + 1) {
    if (text[begin] != '{') {
      continue;
    }
    std::istringstream stream(text.substr(begin));
    try {
      json read;
      stream >> read;
      if (read.contains("jobs") || read.contains("errors")) {
        return read;
      }
    } catch (const json::exception&) {  // another's line
    }
  }
  return std::nullopt;
}

/// As fault_in_queue.
std::string fault_in(const json& answer) {
  const auto errors = answer.find("errors");
  if (errors == answer.end() || !errors->is_array() || errors->empty()) {
    return {};
  }
  const std::string description = text_of(errors->front(), "description");
  return description.empty() ? "it says that it failed, and not why" : description;
}

}  // namespace

std::vector<std::string> answer_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    line.erase(line.find_last_not_of(" \t\r") + 1);
    line.erase(0, line.find_first_not_of(" \t\r"));
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string quoted_answer(const std::string& text) {
  const std::vector<std::string> lines = answer_lines(text);
  const auto last = std::find_if(lines.rbegin(), lines.rend(), [](const std::string& line) { return !line.empty(); });
  return last == lines.rend() ? "nothing" : fmt::format("\"{}\"", *last);
}

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
  const std::optional<json> answer = json_in(text);
  check(answer.has_value(), "squeue --json ended well, but printed {}, which is not its JSON", quoted_answer(text));
  try {
    const std::string fault = fault_in(*answer);
    check(fault.empty(), "squeue: {}", fault);
    const json& records = answer->at("jobs");
    check(records.is_array(), "squeue --json ended well, but its \"jobs\" is no list");
    std::vector<SlurmJob> jobs;
    for (const json& job : records) {
      if (SlurmJob ours = read_job(job); !ours.token.empty()) {
        jobs.push_back(std::move(ours));
      }
    }
    return jobs;
  } catch (const json::exception& error) {
    fail("squeue --json ended well, but its JSON is not as Slurm's is: {}", error.what());
  }
}

std::string fault_in_queue(const std::string& text) {
  try {
    const std::optional<json> answer = json_in(text);
    return answer ? fault_in(*answer) : std::string();
  } catch (const json::exception&) {
    return {};  // not its JSON: parse_queue says so
  }
}

std::vector<SlurmJob> parse_plain_queue(const std::string& text) {
  std::vector<SlurmJob> jobs;
  bool has_heading = false;
  for (const std::string& line : answer_lines(text)) {
    if (!line.starts_with(kLineMark)) {
      continue;
    }
    const std::vector<std::string> fields = fields_in(line);
    check(fields.size() == kFields, "squeue printed \"{}\": {} fields of a job are expected", line, kFields - 1);
    if (!std::exchange(has_heading, true)) {
      check(!is_number(fields[1]), "squeue printed \"{}\" without the line that says what it is", line);
    } else if (!token_of(fields[6]).empty()) {
      jobs.push_back(read_line(fields, line));
    }
  }
  check(has_heading, "squeue ended well, but printed {}: is it Slurm's own?", quoted_answer(text));
  return jobs;
}

std::optional<std::string> job_id_of(const std::string& answer) {
  const std::vector<std::string> lines = answer_lines(answer);
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    const std::string id = line->substr(0, line->find(';'));
    const bool has_good_cluster = id.size() == line->size() || line->size() > id.size() + 1;
    if (is_number(id) && has_good_cluster && line->find_first_of(" \t") == std::string::npos) {
      return id;
    }
  }
  return std::nullopt;
}

}  // namespace xtasc::sweep
