#include "run/metrics_log.hpp"

#include <string_view>
#include <utility>

#include "core/error.hpp"
#include "core/json.hpp"
#include "core/log.hpp"
#include "io/atomic_file.hpp"
#include "io/checksum.hpp"
#include "io/log_file.hpp"
#include "run/run_folder.hpp"

namespace xtasc::run {

namespace {

using json_fields::Json;

constexpr const char* kHoldout = "holdout";
constexpr const char* kStoppedBy = "stopped_by";
constexpr const char* kGradients = "gradients";
constexpr const char* kMachine = "machine";

using Groups = std::map<std::string, std::map<std::string, double>>;

/// No field where there is no group.
void put_groups(Json& line, const char* key, const Groups& groups) {
  for (const auto& [name, values] : groups) {
    line[key][name] = json_fields::object(values);
  }
}

Groups groups_of(const Json& line, const char* key) {
  Groups groups;
  if (line.contains(key)) {
    for (const auto& [name, values] : json_fields::field(line, key).items()) {
      groups[name] = json_fields::numbers(line[key], name);
    }
  }
  return groups;
}

/// Fields in the order of EpochRecord, which is the order that a reader of the file wants.
Json to_json(const EpochRecord& record) {
  Json class_iou = Json::array();
  for (const std::optional<double>& value : record.class_iou) {
    class_iou.push_back(value ? json_fields::number(*value) : Json(nullptr));
  }
  Json line = {{"epoch", record.epoch},
               {"step", record.step},
               {"learning_rate", json_fields::number(record.learning_rate)},
               {"train_loss", json_fields::object(record.train_loss)}};
  Json held_out;
  Json& measured = record.is_of_holdout ? held_out : line;
  measured[record.is_of_holdout ? "loss" : "val_loss"] = json_fields::object(record.val_loss);
  line["task_weight"] = json_fields::object(record.task_weight);
  measured["paper"] = json_fields::object(record.paper);
  measured["dataset"] = json_fields::object(record.dataset);
  measured["consistency"] = json_fields::object(record.consistency);
  measured["class_iou"] = std::move(class_iou);
  if (record.is_of_holdout) {
    line[kHoldout] = std::move(held_out);
  }
  put_groups(line, kGradients, record.gradients);
  line["is_best"] = record.is_best;
  line["images_per_second"] = json_fields::number(record.images_per_second);
  line["seconds"] = json_fields::object(record.seconds);
  put_groups(line, kMachine, record.machine);
  if (record.is_end_of_patience) {
    line[kStoppedBy] = "train.patience";
  }
  return line;
}

constexpr std::string_view kDigestField = ",\"digest\":\"";
constexpr std::size_t kDigestDigits = 16;

std::string line_digest(std::string_view line) {
  return io::digest_hex(line).substr(0, kDigestDigits);
}

/// The line without its digest, and the digest; that is empty where the line ends in none.
std::pair<std::string, std::string> split_digest(const std::string& line) {
  const std::size_t length = kDigestField.size() + kDigestDigits + 2;  // ,"digest":"0123456789abcdef"}
  if (line.size() <= length || line.compare(line.size() - length, kDigestField.size(), kDigestField) != 0 ||
      !line.ends_with("\"}")) {
    return {line, ""};
  }
  return {line.substr(0, line.size() - length) + "}", line.substr(line.size() - kDigestDigits - 2, kDigestDigits)};
}

EpochRecord record_of(const std::string& line, Digests digests) {
  const auto [content, digest] = split_digest(line);
  check(digests == Digests::optional || !digest.empty(), "the line lacks its digest: it was changed after the run");
  check(digest.empty() || digest == line_digest(content),
        "the line's digest is {}, its content gives {}: it was changed after the run wrote it", digest,
        line_digest(content));
  return from_json_line(content);
}

}  // namespace

std::string to_json_line(const EpochRecord& record) {
  std::string line = to_json(record).dump(-1, ' ', false, Json::error_handler_t::replace);
  const std::string digest = line_digest(line);
  line.pop_back();
  return fmt::format("{}{}{}\"}}", line, kDigestField, digest);
}

EpochRecord from_json_line(const std::string& line) {
  if (const auto [content, digest] = split_digest(line); !digest.empty()) {
    return record_of(line, Digests::needed);
  }
  const Json json = json_fields::parse(line);
  EpochRecord record;
  record.epoch = json_fields::get<std::int64_t>(json, "epoch");
  check(record.epoch >= 1, "the field \"epoch\" is {}, a number from 1 is needed", record.epoch);
  record.step = json_fields::get<std::int64_t>(json, "step");
  record.learning_rate = json_fields::get<double>(json, "learning_rate");
  record.train_loss = json_fields::numbers(json, "train_loss");
  record.is_of_holdout = json.contains(kHoldout);
  record.is_end_of_patience = json.contains(kStoppedBy);
  const Json& measured = record.is_of_holdout ? json_fields::field(json, kHoldout) : json;
  record.val_loss = json_fields::numbers(measured, record.is_of_holdout ? "loss" : "val_loss");
  record.task_weight = json_fields::numbers(json, "task_weight");
  record.paper = json_fields::numbers(measured, "paper");
  record.dataset = json_fields::numbers(measured, "dataset");
  if (measured.contains("consistency")) {
    record.consistency = json_fields::numbers(measured, "consistency");
  }
  record.gradients = groups_of(json, kGradients);
  const Json& class_iou = json_fields::field(measured, "class_iou");
  check(class_iou.is_array(), "the field \"class_iou\" is {}, an array is needed", class_iou.type_name());
  for (const Json& value : class_iou) {
    check(value.is_number() || value.is_null(), "the field \"class_iou\" holds {}, numbers or null are needed",
          value.type_name());
    record.class_iou.push_back(value.is_null() ? std::nullopt : std::optional(value.get<double>()));
  }
  record.is_best = json_fields::get<bool>(json, "is_best");
  record.images_per_second = json_fields::get<double>(json, "images_per_second");
  record.seconds = json_fields::numbers(json, "seconds");
  record.machine = groups_of(json, kMachine);
  return record;
}

std::vector<EpochRecord> read_metrics(const std::filesystem::path& path, Digests digests) {
  const std::string text = io::read_file(path);
  std::vector<EpochRecord> records;
  std::size_t line_number = 0;
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; begin = end + 1, end = text.find('\n', begin)) {
    ++line_number;
    EpochRecord record;
    try {
      record = record_of(text.substr(begin, end - begin), digests);
    } catch (const Error& error) {
      fail("{}:{}: {}", path.string(), line_number, error.what());
    }
    // A run that went back to an earlier epoch wrote it again: what followed the first time is no longer its history.
    while (!records.empty() && records.back().epoch >= record.epoch) {
      records.pop_back();
    }
    records.push_back(std::move(record));
  }
  return records;
}

Digests digests_of(const config::RunConfig& config) {
  return config::is_of_first_ids(config) ? Digests::optional : Digests::needed;
}

void MetricsLog::restore(std::string history) {
  history_ = std::move(history);
  num_written_ = history_.size();
  std::error_code ignored;
  const bool is_there = std::filesystem::exists(path_, ignored);
  if (!is_there && history_.empty()) {
    return;
  }
  std::string found;
  std::string fault = "it is missing";
  if (is_there) {
    try {
      found = io::read_file(path_);
      fault = history_.starts_with(found) ? "it lacks epochs that the checkpoint has"
                                          : "it does not begin with the epochs of the checkpoint";
    } catch (const Error& error) {
      fault = error.what();
    }
  }
  if (is_there && found == history_) {
    return;
  }
  if (!is_there || !found.starts_with(history_)) {
    const bool holds_more = is_there && !history_.starts_with(found);
    const std::string aside = holds_more ? fmt::format(" (it is {} now)", set_aside(path_).filename().string()) : "";
    log_warning("{}: {}{}: written anew from the checkpoint", path_.string(), fault, aside);
  }
  io::write_file_atomically(path_, std::string_view(history_));
}

void MetricsLog::write_missing() {
  io::LogFile file(path_);
  if (file.content_is(std::string_view(history_).substr(0, num_written_))) {
    file.write_at(num_written_, std::string_view(history_).substr(num_written_));
    file.close();
    if (num_written_ == 0) {
      io::sync_folder(path_.has_parent_path() ? path_.parent_path() : std::filesystem::path("."));
    }
  } else {  // somebody changed or removed it beside us
    io::write_file_atomically(path_, std::string_view(history_));
  }
  num_written_ = history_.size();
}

void MetricsLog::add(const EpochRecord& record) {
  history_ += to_json_line(record) + '\n';
}

void MetricsLog::write() {
  try {
    write_missing();
  } catch (const Error& error) {
    log_warning("{}; the run goes on, and it is tried again after the next epoch", error.what());
  }
}

void MetricsLog::require_written() {
  if (num_written_ < history_.size()) {
    write_missing();
  }
}

}  // namespace xtasc::run
