#include "events/event_log.hpp"

#include <algorithm>
#include <utility>

#include "core/error.hpp"
#include "core/log.hpp"
#include "events/epoch_numbers.hpp"
#include "io/file.hpp"
#include "io/log_file.hpp"

namespace xtasc::events {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kLive = "live/";
/// In every epoch's numbers, and no other record's first.
constexpr std::string_view kFirstOfEpoch = "train/step";
/// TensorBoard looks for "tfevents" in the names, and reads a folder's files in their order.
constexpr std::string_view kPrefix = "events.out.tfevents.";
constexpr std::chrono::seconds kBetweenWrites{5};

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with(kPrefix)) {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

/// The file behind these, whose names end in numbers of so many digits.
fs::path next_file(const fs::path& folder, const std::vector<fs::path>& files) {
  std::size_t number = files.size() + 1;
  const auto path = [&] { return folder / fmt::format("{}{:010}", kPrefix, number); };
  while (fs::exists(path())) {
    ++number;
  }
  return path();
}

}  // namespace

EventLog::EventLog(fs::path folder, const Known& known, const std::vector<run::EpochRecord>& history,
                   std::vector<std::string> class_names)
    : class_names_(std::move(class_names)), pending_(version_record()) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, "cannot create {}: {}", folder.string(), error.message());
  const std::vector<fs::path> files = files_of(folder);
  file_ = next_file(folder, files);
  std::set<std::int64_t> epochs;
  for (const fs::path& file : files) {
    epochs.merge(cut_back(file, known));
  }
  const auto lost = std::ranges::find_if(
      history, [&epochs](const run::EpochRecord& record) { return !epochs.contains(record.epoch); });
  std::for_each(lost, history.end(), [this](const run::EpochRecord& record) { add_epoch(record); });
  if (lost != history.end()) {
    log_info("{}: epoch {} is not in there: written anew from there, without pictures and the losses of single steps",
             folder.string(), lost->epoch);
  }
}

std::set<std::int64_t> EventLog::cut_back(const fs::path& file, const Known& known) {
  const std::string bytes = io::read_file(file);
  const Records found = records_of(bytes);
  if (found.is_damaged) {
    log_warning("{}: damaged behind byte {}, and cut there", file.string(), found.end);
  }
  std::set<std::int64_t> epochs;
  std::size_t end = 0;
  for (const Record& record : found.records) {
    if (record.step > (record.tag.starts_with(kLive) ? known.steps : known.epochs)) {
      break;
    }
    if (record.tag == kFirstOfEpoch) {
      epochs.insert(record.step);
    }
    is_new_ = is_new_ && record.tag.empty();
    end = record.end;
  }
  if (end < bytes.size()) {
    io::LogFile(file).write_at(end, {});
  }
  return epochs;
}

void EventLog::add_text(std::string_view tag, std::string_view text) {
  pending_ += text_record(0, tag, text);
}

void EventLog::add_live(std::int64_t step, const std::vector<Number>& numbers) {
  std::vector<Number> live = numbers;
  for (Number& number : live) {
    number.tag.insert(0, kLive);
  }
  pending_ += numbers_record(step, live);
}

void EventLog::add_epoch(const run::EpochRecord& record) {
  pending_ += numbers_record(record.epoch, numbers_of(record, class_names_));
}

void EventLog::add_picture(std::int64_t epoch, std::string_view tag, std::span<const std::byte> png,
                           std::int64_t height, std::int64_t width) {
  pending_ += picture_record(epoch, tag, png, height, width);
}

void EventLog::write() {
  last_write_ = Clock::now();
  try {
    io::LogFile file(file_);
    check(file.size() == size_, "{} has {} bytes instead of {}: somebody changed it", file_.string(), file.size(),
          size_);
    file.write_at(size_, pending_);
    file.close();
    size_ += pending_.size();
    pending_.clear();
    has_warned_ = false;
  } catch (const Error& error) {
    if (!std::exchange(has_warned_, true)) {
      log_warning("{}; the run goes on, and it is tried again", error.what());
    }
  }
}

void EventLog::write_now_and_then() {
  if (Clock::now() - last_write_ >= kBetweenWrites) {
    write();
  }
}

}  // namespace xtasc::events
