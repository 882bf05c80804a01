#include "results/metrics_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "results/json_fields.hpp"

namespace xtasc::results {

namespace {

using json_fields::Json;

/// The descriptor of a metrics.jsonl open for reading and writing; closed without a check where an error is on its way.
class LogFile {
 public:
  explicit LogFile(const std::filesystem::path& path) : path_(path.string()) {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    require(descriptor_ >= 0, "open");
  }
  ~LogFile() {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
  }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  /// Bytes up to and with the last newline: a line that a killed run left torn does not count.
  [[nodiscard]] off_t size_of_whole_lines() const {
    std::array<char, 4096> buffer{};
    off_t end = size();
    while (end > 0) {
      const off_t begin = end > static_cast<off_t>(buffer.size()) ? end - static_cast<off_t>(buffer.size()) : 0;
      const ssize_t count = ::pread(descriptor_, buffer.data(), static_cast<std::size_t>(end - begin), begin);
      require(count == end - begin, "read");
      const std::string_view text(buffer.data(), static_cast<std::size_t>(count));
      if (const std::size_t newline = text.rfind('\n'); newline != std::string_view::npos) {
        return begin + static_cast<off_t>(newline) + 1;
      }
      end = begin;
    }
    return 0;
  }

  /// Writes `line` at `offset`, cuts what lay behind it, makes it durable. On failure the file ends at `offset` again,
  /// so that the next line does not run into half of this one.
  void write_at(off_t offset, std::string_view line) {
    if (size() > offset) {
      require(::ftruncate(descriptor_, offset) == 0, "cut the torn last line of");
    }
    off_t position = offset;
    while (!line.empty()) {
      const ssize_t count = ::pwrite(descriptor_, line.data(), line.size(), position);
      if (count < 0 && errno == EINTR) {
        continue;
      }
      require_or_cut(count > 0, offset);
      line.remove_prefix(static_cast<std::size_t>(count));
      position += count;
    }
    require_or_cut(::fsync(descriptor_) == 0, offset);
  }

  void close() { require(::close(std::exchange(descriptor_, -1)) == 0, "close"); }

 private:
  [[nodiscard]] off_t size() const {
    struct stat status {};
    require(::fstat(descriptor_, &status) == 0, "look at");
    return status.st_size;
  }
  void require(bool succeeded, const char* action) const {
    if (!succeeded) {
      fail("cannot {} {}: {}", action, path_, errno_text(errno));
    }
  }
  void require_or_cut(bool succeeded, off_t offset) const {
    if (!succeeded) {
      const int reason = errno;
      const bool was_cut = size() <= offset || ::ftruncate(descriptor_, offset) == 0;
      fail("cannot append to {}: {}{}", path_, errno_text(reason), was_cut ? "" : "; its last line is torn");
    }
  }

  std::string path_;
  int descriptor_ = -1;
};

/// Fields in the order of EpochRecord, which is the order that a reader of the file wants.
Json to_json(const EpochRecord& record) {
  Json class_iou = Json::array();
  for (const std::optional<double>& value : record.class_iou) {
    class_iou.push_back(value ? json_fields::number(*value) : Json(nullptr));
  }
  return Json{{"epoch", record.epoch},
              {"step", record.step},
              {"learning_rate", json_fields::number(record.learning_rate)},
              {"train_loss", json_fields::object(record.train_loss)},
              {"val_loss", json_fields::object(record.val_loss)},
              {"task_weight", json_fields::object(record.task_weight)},
              {"paper", json_fields::object(record.paper)},
              {"dataset", json_fields::object(record.dataset)},
              {"consistency", json_fields::object(record.consistency)},
              {"class_iou", std::move(class_iou)},
              {"is_best", record.is_best},
              {"images_per_second", json_fields::number(record.images_per_second)},
              {"seconds", json_fields::object(record.seconds)}};
}

}  // namespace

std::string to_json_line(const EpochRecord& record) {
  return to_json(record).dump(-1, ' ', false, Json::error_handler_t::replace);
}

EpochRecord from_json_line(const std::string& line) {
  const Json json = json_fields::parse(line);
  EpochRecord record;
  record.epoch = json_fields::get<std::int64_t>(json, "epoch");
  check(record.epoch >= 1, "the field \"epoch\" is {}, a number from 1 is needed", record.epoch);
  record.step = json_fields::get<std::int64_t>(json, "step");
  record.learning_rate = json_fields::get<double>(json, "learning_rate");
  record.train_loss = json_fields::numbers(json, "train_loss");
  record.val_loss = json_fields::numbers(json, "val_loss");
  record.task_weight = json_fields::numbers(json, "task_weight");
  record.paper = json_fields::numbers(json, "paper");
  record.dataset = json_fields::numbers(json, "dataset");
  if (json.contains("consistency")) {
    record.consistency = json_fields::numbers(json, "consistency");
  }
  const Json& class_iou = json_fields::field(json, "class_iou");
  check(class_iou.is_array(), "the field \"class_iou\" is {}, an array is needed", class_iou.type_name());
  for (const Json& value : class_iou) {
    check(value.is_number() || value.is_null(), "the field \"class_iou\" holds {}, numbers or null are needed",
          value.type_name());
    record.class_iou.push_back(value.is_null() ? std::nullopt : std::optional(value.get<double>()));
  }
  record.is_best = json_fields::get<bool>(json, "is_best");
  record.images_per_second = json_fields::get<double>(json, "images_per_second");
  record.seconds = json_fields::numbers(json, "seconds");
  return record;
}

std::vector<EpochRecord> read_metrics(const std::filesystem::path& path) {
  const std::string text = io::read_file(path);
  std::vector<EpochRecord> records;
  std::size_t line_number = 0;
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; begin = end + 1, end = text.find('\n', begin)) {
    ++line_number;
    EpochRecord record;
    try {
      record = from_json_line(text.substr(begin, end - begin));
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

void truncate_metrics(const std::filesystem::path& path, std::int64_t last_epoch) {
  if (!std::filesystem::exists(path)) {
    return;
  }
  std::string text;
  for (const EpochRecord& record : read_metrics(path)) {
    if (record.epoch <= last_epoch) {
      text += to_json_line(record) + '\n';
    }
  }
  io::write_file_atomically(path, std::string_view(text));
}

void append_metrics(const std::filesystem::path& path, const EpochRecord& record) {
  LogFile file(path);
  const off_t end = file.size_of_whole_lines();
  file.write_at(end, to_json_line(record) + '\n');
  file.close();
  if (end == 0) {
    io::sync_folder(path.has_parent_path() ? path.parent_path() : std::filesystem::path("."));
  }
}

}  // namespace xtasc::results
