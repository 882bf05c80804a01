#include "pack_builder.hpp"

#include <fmt/format.h>
#include <malloc.h>

#include <opencv2/core.hpp>
#include <optional>
#include <utility>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/signals.hpp"
#include "io/atomic_file.hpp"
#include "ordered_pool.hpp"
#include "pack/writer.hpp"

namespace xtasc::preprocess {

namespace {

struct Item {
  pack::Split split;
  std::size_t index;
};

/// A sample at the pack's size, or what is wrong with it.
struct Decoded {
  RawSample sample;
  std::optional<std::string> fault;
};

std::string plural(std::size_t count, const char* noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

/// Keeps the memory of one sample for the next: fetching pages anew for each of them costs as much as undoing filters.
void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kLargestImage = 32 << 20;  // the most that glibc takes
  ::mallopt(M_MMAP_THRESHOLD, kLargestImage);
  ::mallopt(M_TRIM_THRESHOLD, 4 * kLargestImage);
#endif
}

void stop_if_asked() {
  if (const int signal = stop_signal(); signal != 0) {
    fail("stopped by {}; nothing was written", signal_name(signal));
  }
}

std::vector<Item> list_items(const RawDataset& raw) {
  std::vector<Item> items;
  for (const pack::Split split : {pack::Split::train, pack::Split::val}) {
    for (std::size_t i = 0; i < raw.names(split).size(); ++i) {
      items.push_back({split, i});
    }
  }
  return items;
}

void check_splits(const RawDataset& raw, const std::vector<Item>& items, const std::string& why) {
  for (const pack::Split split : {pack::Split::train, pack::Split::val}) {
    const bool has_samples =
        std::any_of(items.begin(), items.end(), [split](const Item& item) { return item.split == split; });
    check(has_samples, "the {} split of {} has no samples{}", pack::split_name(split), raw.schema().dataset, why);
  }
}

/// The faults of raw data as they turn up, and what becomes of them.
class Faults {
 public:
  explicit Faults(const BuildOptions& options) : options_(options) {}

  void add(std::vector<std::string> lines) {
    lines_.insert(lines_.end(), std::make_move_iterator(lines.begin()), std::make_move_iterator(lines.end()));
  }
  [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }

  void write_report() const {
    if (!options_.report.empty()) {
      std::string text;
      for (const std::string& line : lines_) {
        text += line + "\n";
      }
      io::write_file_atomically(options_.report, text);
    }
  }

  /// Lets the faults pass when the user said so. \throws Error  listing them otherwise.
  void judge(const std::string& summary) const {
    if (lines_.empty() || options_.skip_bad) {
      return;
    }
    write_report();
    constexpr std::size_t kShown = 20;  // by print_error
    const std::string more = !options_.report.empty() ? fmt::format("; all are in '{}'", options_.report.string())
                             : lines_.size() > kShown ? "; --report FILE lists them all"
                                                      : "";
    throw Error(summary + ", nothing was written" + more, ExitCode::failure, lines_);
  }

 private:
  const BuildOptions& options_;
  std::vector<std::string> lines_;
};

/// Looks at all files. \returns the items whose files seem good.
std::vector<Item> check_raw(const RawDataset& raw, const BuildOptions& options, Faults& faults) {
  faults.add(raw.list_faults());
  const std::vector<Item> items = list_items(raw);
  std::vector<Item> good;
  if (!items.empty()) {
    Progress progress("checking", static_cast<std::int64_t>(items.size()));
    OrderedPool<std::vector<std::string>> pool(
        items.size(), static_cast<std::size_t>(options.workers),
        [&](std::size_t i) { return raw.check_files(items[i].split, items[i].index); });
    for (std::size_t i = 0; i < items.size(); ++i) {
      std::vector<std::string> found = pool.take();
      stop_if_asked();
      if (found.empty()) {
        good.push_back(items[i]);
      }
      faults.add(std::move(found));
      progress.update(static_cast<std::int64_t>(i) + 1);
    }
  }
  faults.judge(fmt::format("the raw data has {}", plural(faults.lines().size(), "fault")));
  return good;
}

void append(pack::Writer& writer, pack::Split split, const std::string& name, const RawSample& raw) {
  pack::Sample sample;
  sample.name = name;
  sample.image = raw.image;
  for (const auto& labels : raw.labels) {
    sample.labels.emplace_back(labels);
  }
  std::visit([&](const auto& depth) { sample.depth = std::span(depth.data(), depth.size()); }, raw.depth);
  writer.append(split, sample);
}

/// Decodes and writes. \returns the items that are in the pack.
std::vector<Item> write_samples(const RawDataset& raw, const BuildOptions& options, const std::vector<Item>& items,
                                pack::Writer& writer, Faults& faults) {
  std::vector<Item> written;
  std::size_t num_bad = 0;
  {
    Progress progress("packing", static_cast<std::int64_t>(items.size()));
    OrderedPool<Decoded> pool(items.size(), static_cast<std::size_t>(options.workers), [&](std::size_t i) {
      Decoded decoded;
      try {
        decoded.sample = raw.decode(items[i].split, items[i].index, options.resize);
      } catch (const Error& error) {
        decoded.fault = error.what();
      }
      return decoded;
    });
    for (std::size_t i = 0; i < items.size(); ++i) {
      Decoded decoded = pool.take();
      stop_if_asked();
      if (decoded.fault) {
        faults.add({std::move(*decoded.fault)});
        ++num_bad;
      } else if (num_bad == 0 || options.skip_bad) {  // otherwise only the faults matter: go on, to find them all
        append(writer, items[i].split, raw.names(items[i].split)[items[i].index], decoded.sample);
        written.push_back(items[i]);
      }
      progress.update(static_cast<std::int64_t>(i) + 1, fmt::format("{:.0f} samples/s", progress.rate()));
    }
  }
  faults.judge(fmt::format("{} of {} samples cannot be packed", num_bad, items.size()));
  return written;
}

}  // namespace

BuildResult build_pack(const RawDataset& raw, const BuildOptions& options) {
  pack::check_size(options.resize.to.height, options.resize.to.width);
  pack::check_output(options.output, options.overwrite);
  if (!options.report.empty()) {
    pack::check_output(options.report, true);
  }
  cv::setNumThreads(1);  // the workers are the threads
  keep_freed_memory();

  Faults faults(options);
  const std::vector<Item> items = check_raw(raw, options, faults);
  const std::string why_empty = faults.lines().empty() ? "" : " without a fault";
  check_splits(raw, items, why_empty);

  pack::Schema schema = raw.schema();
  schema.height = options.resize.to.height;
  schema.width = options.resize.to.width;
  if (schema.resize.empty()) {
    schema.resize = options.resize.image_filter == ImageFilter::area ? "area" : "nearest, pixel centres";
  }
  pack::Writer writer(options.output, std::move(schema), options.overwrite);
  const std::vector<Item> written = write_samples(raw, options, items, writer, faults);
  check_splits(raw, written, " without a fault");
  faults.write_report();
  BuildResult result;
  result.schema = writer.finish(faults.lines());
  for (const Item& item : written) {
    ++(item.split == pack::Split::train ? result.num_train : result.num_val);
  }
  result.num_skipped = list_items(raw).size() - written.size();
  if (!faults.lines().empty()) {
    log_warning("{} left out for {}; the pack lists them (xtasc-preprocess info)", plural(result.num_skipped, "sample"),
                plural(faults.lines().size(), "fault"));
  }
  return result;
}

}  // namespace xtasc::preprocess
