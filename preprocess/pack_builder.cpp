#include "pack_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <opencv2/core.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/signals.hpp"
#include "pack/writer.hpp"

namespace xtasc::preprocess {

namespace {

struct Item {
  pack::Split split;
  std::size_t index;
};

/// A sample at the pack's size, or what was wrong with it.
struct Decoded {
  RawSample sample;
  std::optional<std::string> fault;
};

template <typename T>
void resize_plane(std::vector<T>& values, Size from, Size to) {
  values = resize_nearest(std::span<const T>(values), from, to, 1);
}

void resize_sample(RawSample& sample, const BuildOptions& options) {
  const Size from{sample.height, sample.width};
  const Size to = options.size;
  if (from == to) {
    return;
  }
  sample.image = options.image_filter == ImageFilter::area
                     ? resize_area(sample.image, from, to)
                     : resize_nearest(std::span<const std::uint8_t>(sample.image), from, to, 3);
  for (auto& labels : sample.labels) {
    resize_plane(labels, from, to);
  }
  std::visit([&](auto& depth) { resize_plane(depth, from, to); }, sample.depth);
  sample.height = to.height;
  sample.width = to.width;
}

/// Threads that decode items 0, 1, 2, ... and hand them out in that order, never more than a window ahead.
class DecoderPool {
 public:
  DecoderPool(const RawDataset& raw, const BuildOptions& options, const std::vector<Item>& items)
      : raw_(raw), options_(options), items_(items), window_(static_cast<std::size_t>(2 * options.workers + 2)) {
    const auto count = std::min(static_cast<std::size_t>(options.workers), items.size());
    for (std::size_t i = 0; i < count; ++i) {
      threads_.emplace_back([this] { work(); });
    }
  }
  ~DecoderPool() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }
  DecoderPool(const DecoderPool&) = delete;
  DecoderPool& operator=(const DecoderPool&) = delete;

  /// Waits for item number `position`; called for 0, 1, 2, ...
  Decoded take(std::size_t position) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ready_.contains(position) || failure_ != nullptr; });
    if (failure_ != nullptr) {
      std::rethrow_exception(failure_);
    }
    Decoded decoded = std::move(ready_.extract(position).mapped());
    num_taken_ = position + 1;
    changed_.notify_all();
    return decoded;
  }

 private:
  void work() {
    while (true) {
      std::size_t position = 0;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopping_ || next_ == items_.size() || next_ < num_taken_ + window_; });
        if (stopping_ || next_ == items_.size()) {
          return;
        }
        position = next_++;
      }
      try {
        Decoded decoded = decode(items_[position]);
        const std::lock_guard lock(mutex_);
        ready_.emplace(position, std::move(decoded));
      } catch (...) {  // not the data's fault: out of memory, or a fault of ours
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
      }
      changed_.notify_all();
    }
  }

  [[nodiscard]] Decoded decode(const Item& item) const {
    Decoded decoded;
    try {
      decoded.sample = raw_.decode(item.split, item.index);
      resize_sample(decoded.sample, options_);
    } catch (const Error& error) {
      decoded.fault = error.what();
    }
    return decoded;
  }

  const RawDataset& raw_;
  const BuildOptions& options_;
  const std::vector<Item>& items_;
  const std::size_t window_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t next_ = 0, num_taken_ = 0;
  bool stopping_ = false;
  std::map<std::size_t, Decoded> ready_;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

std::vector<Item> list_items(const RawDataset& raw) {
  std::vector<Item> items;
  for (const pack::Split split : {pack::Split::train, pack::Split::val}) {
    const std::size_t size = raw.names(split).size();
    check(size > 0, "the {} split of {} has no samples", pack::split_name(split), raw.schema().dataset);
    for (std::size_t i = 0; i < size; ++i) {
      items.push_back({split, i});
    }
  }
  return items;
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

[[noreturn]] void fail_with_list(const std::string& summary, const std::vector<std::string>& faults) {
  throw Error(summary, ExitCode::failure, faults);
}

}  // namespace

pack::Schema build_pack(const RawDataset& raw, const BuildOptions& options) {
  pack::check_size(options.size.height, options.size.width);
  pack::check_output(options.output, options.overwrite);
  cv::setNumThreads(1);  // the workers are the threads

  if (const std::vector<std::string> faults = raw.check_files(); !faults.empty()) {
    fail_with_list(
        fmt::format("the raw data has {} fault{}, nothing was written", faults.size(), faults.size() == 1 ? "" : "s"),
        faults);
  }
  const std::vector<Item> items = list_items(raw);

  pack::Schema schema = raw.schema();
  schema.height = options.size.height;
  schema.width = options.size.width;
  if (schema.resize.empty()) {
    schema.resize = options.image_filter == ImageFilter::area ? "area" : "nearest, pixel centres";
  }
  pack::Writer writer(options.output, std::move(schema), options.overwrite);
  std::vector<std::string> faults;
  {
    Progress progress("packing", static_cast<std::int64_t>(items.size()));
    DecoderPool pool(raw, options, items);
    for (std::size_t i = 0; i < items.size(); ++i) {
      Decoded decoded = pool.take(i);
      if (const int signal = stop_signal(); signal != 0) {
        fail("stopped by {}; nothing was written", signal_name(signal));
      }
      if (decoded.fault) {
        faults.push_back(std::move(*decoded.fault));  // and go on, to find them all
      } else if (faults.empty()) {
        append(writer, items[i].split, raw.names(items[i].split)[items[i].index], decoded.sample);
      }
      progress.update(static_cast<std::int64_t>(i) + 1, fmt::format("{:.0f} samples/s", progress.rate()));
    }
  }
  if (!faults.empty()) {
    fail_with_list(fmt::format("{} of {} samples cannot be packed, nothing was written", faults.size(), items.size()),
                   faults);
  }
  return writer.finish();
}

}  // namespace xtasc::preprocess
