#include "preprocess/pack_builder.hpp"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <opencv2/core.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/ordered_pool.hpp"
#include "core/progress.hpp"
#include "core/signals.hpp"
#include "core/utf8.hpp"
#include "io/atomic_file.hpp"
#include "io/checksum.hpp"
#include "pack/verify.hpp"
#include "pack/writer.hpp"
#include "preprocess/datasets/depth_bounds.hpp"

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
  std::vector<bool> has_labels;                  ///< by label set: whether any pixel has a class
  bool has_depth = false;                        ///< whether any pixel has a valid depth
  bool has_normals = false;                      ///< whether any pixel has a valid normal
  std::int64_t num_away = 0, num_to_camera = 0;  ///< pixels whose normals point into the scene, and out of it
  std::string image_digest;
};

/// What is worth a word about the samples that were written.
struct Findings {
  std::array<std::vector<bool>, 2> has_labels;  ///< by split and label set
  std::array<bool, 2> has_depth{}, has_normals{};
  std::int64_t num_away = 0, num_to_camera = 0;               ///< as Decoded has them
  std::unordered_map<std::string, std::string> train_images;  ///< digest -> name
  std::vector<std::string> in_both;                           ///< names of val images that are in train too
  std::string first_in_both;                                  ///< the train image that the first of them is
  std::size_t num_turned = 0;
  std::string orientation;
  std::size_t num_remarks = 0;
  std::string first_remark;
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

  /// They go into the pack too, whose texts are UTF-8; the names of files need not be.
  void add(const std::vector<std::string>& lines) {
    std::ranges::transform(lines, std::back_inserter(lines_), with_escaped_bytes);
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
      options.on_sample("the check of " + raw.names(items[i].split)[items[i].index]);
      std::vector<std::string> found = pool.take();
      stop_if_asked();
      if (const std::string& name = raw.names(items[i].split)[items[i].index]; first_not_utf8(name)) {
        found.push_back(fmt::format("'{}' is not named in UTF-8, as the names in a pack are: rename it", name));
      }
      if (found.empty()) {
        good.push_back(items[i]);
      }
      faults.add(found);
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
  sample.normals = raw.normals;
  sample.without = raw.without;
  writer.append(split, sample);
}

template <typename T>
bool has_other_than(const std::vector<T>& values, T value) {
  return std::any_of(values.begin(), values.end(), [value](auto found) { return found != value; });
}

/// Looks through a decoded sample, in the thread that decoded it.
void look_through(Decoded& decoded) {
  for (const auto& labels : decoded.sample.labels) {
    decoded.has_labels.push_back(has_other_than(labels, pack::kIgnoreLabel));
  }
  decoded.has_depth = std::visit(
      [](const auto& depth) { return has_other_than(depth, typename std::decay_t<decltype(depth)>::value_type{0}); },
      decoded.sample.depth);
  const auto& normals = decoded.sample.normals;
  decoded.has_normals = has_other_than(normals, std::int16_t{0});
  for (std::size_t i = 2; i < normals.size(); i += 3) {
    decoded.num_away += normals[i] > 0 ? 1 : 0;
    decoded.num_to_camera += normals[i] < 0 ? 1 : 0;
  }
  decoded.image_digest = io::digest_hex(std::as_bytes(std::span(decoded.sample.image)));
}

void note(Findings& findings, pack::Split split, const std::string& name, Decoded decoded) {
  const auto at = static_cast<std::size_t>(split);
  std::vector<bool>& has_labels = findings.has_labels[at];
  has_labels.resize(decoded.has_labels.size(), false);
  for (std::size_t set = 0; set < has_labels.size(); ++set) {
    has_labels[set] = has_labels[set] || decoded.has_labels[set];
  }
  findings.has_depth[at] = findings.has_depth[at] || decoded.has_depth;
  findings.has_normals[at] = findings.has_normals[at] || decoded.has_normals;
  findings.num_away += decoded.num_away;
  findings.num_to_camera += decoded.num_to_camera;
  if (!decoded.sample.orientation.empty()) {
    ++findings.num_turned;
    findings.orientation = std::move(decoded.sample.orientation);
  }
  if (!decoded.sample.remark.empty()) {
    findings.first_remark = findings.num_remarks == 0 ? std::move(decoded.sample.remark) : findings.first_remark;
    ++findings.num_remarks;
  }
  if (split == pack::Split::train) {
    findings.train_images.emplace(std::move(decoded.image_digest), name);
  } else if (const auto twin = findings.train_images.find(decoded.image_digest); twin != findings.train_images.end()) {
    if (findings.in_both.empty()) {
      findings.first_in_both = twin->second;
    }
    findings.in_both.push_back(name);
  }
}

void log_findings(const Findings& findings, const pack::Schema& schema) {
  for (const pack::Split split : {pack::Split::train, pack::Split::val}) {
    const auto at = static_cast<std::size_t>(split);
    for (std::size_t set = 0; set < findings.has_labels[at].size(); ++set) {
      if (!findings.has_labels[at][set]) {
        log_warning("{}", pack::no_labels_note(split, schema.label_sets[set].name));
      }
    }
    if (!findings.has_depth[at]) {
      log_warning("{}", pack::no_depth_note(split));
    }
    if (schema.has_normals() && !findings.has_normals[at]) {
      log_warning("{}", pack::no_normals_note(split));
    }
  }
  if (!findings.in_both.empty()) {
    log_warning(
        "{} of val {} in train too, pixel for pixel: {} is {}{}; validation then measures what was learnt by heart",
        plural(findings.in_both.size(), "image"), findings.in_both.size() == 1 ? "is" : "are", findings.in_both.front(),
        findings.first_in_both, findings.in_both.size() == 1 ? "" : ", ...");
  }
  if (findings.num_turned > 0) {
    log_info("{} {} files that EXIF turns: orientation = \"{}\", {}", plural(findings.num_turned, "sample"),
             findings.num_turned == 1 ? "has" : "have", findings.orientation,
             findings.orientation == "apply" ? "they were turned" : "their pixels are as stored");
  }
  if (findings.num_remarks > 0) {
    log_line(io::remarks_text(findings.num_remarks, findings.first_remark));
  }
  if (const std::string doubt = doubt_of_depth(schema); !doubt.empty()) {
    log_warning("depth up to {:.4g} m, {} depth = (value + offset) / divisor should be metres", schema.depth_max,
                doubt);
  }
}

/// Decodes and writes. \returns the items that are in the pack.
std::vector<Item> write_samples(const RawDataset& raw, const BuildOptions& options, const std::vector<Item>& items,
                                pack::Writer& writer, Faults& faults, Findings& findings) {
  std::vector<Item> written;
  std::size_t num_bad = 0;
  {
    Progress progress("packing", static_cast<std::int64_t>(items.size()));
    OrderedPool<Decoded> pool(items.size(), static_cast<std::size_t>(options.workers), [&](std::size_t i) {
      Decoded decoded;
      try {
        decoded.sample = raw.decode(items[i].split, items[i].index, options.resize);
        look_through(decoded);
      } catch (const Error& error) {
        decoded.fault = error.what();
      }
      return decoded;
    });
    for (std::size_t i = 0; i < items.size(); ++i) {
      options.on_sample("the decoding of " + raw.names(items[i].split)[items[i].index]);
      Decoded decoded = pool.take();
      stop_if_asked();
      if (decoded.fault) {
        faults.add({*decoded.fault});
        ++num_bad;
      } else if (num_bad == 0 || options.skip_bad) {  // otherwise only the faults matter: go on, to find them all
        const std::string& name = raw.names(items[i].split)[items[i].index];
        append(writer, items[i].split, name, decoded.sample);
        note(findings, items[i].split, name, std::move(decoded));
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
  options.on_sample("beginning " + options.output.string());
  pack::Writer writer(options.output, std::move(schema), options.overwrite);
  Findings findings;
  const std::vector<Item> written = write_samples(raw, options, items, writer, faults, findings);
  check_splits(raw, written, " without a fault");
  if (const auto fault = raw.depth_fault(writer.depth_max())) {
    fail("the depth of {} is implausible, nothing was written: {}", raw.schema().dataset, *fault);
  }
  if (findings.num_away > findings.num_to_camera) {
    fail(
        "the normals of {} are implausible, nothing was written: {:.0f} % of them point away from the camera; does "
        "their third axis count the other way (in, out) than was said?",
        raw.schema().dataset,
        100.0 * static_cast<double>(findings.num_away) /
            static_cast<double>(findings.num_away + findings.num_to_camera));
  }
  faults.write_report();
  options.on_sample("finishing the pack");
  BuildResult result;
  result.schema = writer.finish(faults.lines(), findings.orientation);
  log_findings(findings, result.schema);
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
