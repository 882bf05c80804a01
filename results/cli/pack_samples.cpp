#include "results/cli/pack_samples.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>

#include "core/process.hpp"
#include "io/file.hpp"
#include "io/image/image.hpp"
#include "io/npy.hpp"
#include "run/pack_now.hpp"

namespace xtasc::tabulate {

namespace {

namespace fs = std::filesystem;

constexpr auto kSplit = pack::Split::val;

/// 3 x height x width of height x width x 3.
template <typename T>
PackSamples::Numbers planes(const std::vector<T>& interleaved) {
  const std::size_t num_pixels = interleaved.size() / 3;
  PackSamples::Numbers planes(interleaved.size());
  for (std::size_t i = 0; i < planes.size(); ++i) {
    planes[i % 3 * num_pixels + i / 3] = static_cast<float>(interleaved[i]);
  }
  return planes;
}

std::string reading(const fs::path& pack) {
  return fmt::format("reading the pack {}", pack.string());
}

}  // namespace

PackSamples::PackSamples(const fs::path& path, const std::string& label_set, std::int64_t wanted,
                         const Options& options)
    : options_(options), reader_(path), label_set_(pack::find_label_set(reader_.schema(), label_set)) {
  reader_.set_on_part([&watch = *options.watch, now = reading(path)] { watch.beat(now); });
  const std::int64_t size = reader_.size(kSplit);
  const std::int64_t count = std::min(wanted, size);
  check(count > 0, "its validation split has no samples");
  for (std::int64_t i = 0; i < count; ++i) {
    indices_.push_back(i * size / count);
  }
}

std::size_t PackSamples::num_pixels() const {
  return static_cast<std::size_t>(schema().height * schema().width);
}

std::vector<std::string> PackSamples::names() const {
  const std::vector<std::string> all = reader_.names(kSplit);
  std::vector<std::string> names;
  std::ranges::transform(indices_, std::back_inserter(names),
                         [&all](std::int64_t sample) { return all.at(static_cast<std::size_t>(sample)); });
  return names;
}

PackSamples::Bytes PackSamples::image(std::int64_t sample) const {
  Bytes image(3 * num_pixels());
  reader_.read_images(kSplit, sample, 1, image);
  return image;
}

bool PackSamples::has_truth(const task::Task& task) const {
  return task.kind != task::Kind::unit_vector || schema().has_normals();
}

PackSamples::Values PackSamples::truth(const task::Task& task, std::int64_t sample) const {
  switch (task.kind) {
    case task::Kind::classes: {
      Bytes labels(num_pixels());
      reader_.read_labels(kSplit, label_set_, sample, 1, labels);
      return labels;
    }
    case task::Kind::depth: {
      Numbers depth(num_pixels());
      if (schema().depth_type == pack::DepthType::float32) {
        reader_.read_depth(kSplit, sample, 1, depth);
        return depth;
      }
      std::vector<std::uint16_t> stored(num_pixels());
      reader_.read_depth(kSplit, sample, 1, stored);
      std::ranges::transform(stored, depth.begin(), [this](std::uint16_t value) {
        return static_cast<float>(schema().depth_scale * static_cast<double>(value));
      });
      return depth;
    }
    case task::Kind::unit_vector: {
      std::vector<std::int16_t> stored(3 * num_pixels());
      reader_.read_normals(kSplit, sample, 1, stored);
      return planes(stored);
    }
  }
  return {};
}

PackSamples::Numbers PackSamples::valid_numbers(const task::Task& task) const {
  Numbers valid;
  for (const std::int64_t sample : task.kind == task::Kind::depth ? indices_ : std::vector<std::int64_t>{}) {
    std::ranges::copy_if(std::get<Numbers>(truth(task, sample)), std::back_inserter(valid),
                         [](float depth) { return depth > 0.0F; });
  }
  return valid;
}

void PackSamples::predict(const page::PageRun& run, const fs::path& folder) const {
  const fs::path program = fs::read_symlink("/proc/self/exe").parent_path() / "xtasc-predict";
  const fs::path log = folder / "log.txt";
  Process process(
      {.command = {program.string(), "--run", run.folder.string(), "--pack", reader_.path().string(), "--split",
                   std::string(pack::split_name(kSplit)), "--samples", fmt::format("{}", fmt::join(indices_, ",")),
                   "--output", folder.string(), "--set", fmt::format("run.stall_seconds={}", options_.stall_seconds)},
       .log = log,
       .if_missing =
           fmt::format("predictions need xtasc-predict beside this program: {} is not there", program.string())});
  options_.watch->rest();  // it has a watch of its own
  const int exit_code = process.wait();
  options_.watch->beat("reading its predictions");
  if (exit_code != 0) {
    const std::string text = io::read_file(log);
    const std::size_t error = text.rfind(": error: ");
    fail("{}", error == std::string::npos ? "xtasc-predict failed: " + text
                                          : text.substr(error + 9, text.find('\n', error) - error - 9));
  }
}

PackSamples::Values PackSamples::predicted(const task::Task& task, std::int64_t sample, const fs::path& folder) const {
  const std::string stem = fmt::format("{}_{:05}_{}", pack::split_name(kSplit), sample, task.truth);
  if (task.kind == task::Kind::classes) {
    return io::read_grey8_image(folder / (stem + ".png")).pixels;
  }
  const std::vector<double> values = io::read_npy_numbers(folder / (stem + ".npy")).values;
  return task.kind == task::Kind::depth ? Numbers(values.begin(), values.end()) : planes(values);
}

PackSamples samples_of(const page::PageRun& run, std::int64_t wanted, const Options& options) {
  const fs::path pack = run::last_pack_path(run.provenance);
  check(!pack.empty(), "their provenance names no pack");
  options.watch->beat(reading(pack));
  PackSamples samples(pack, run.config.data.label_set, wanted, options);
  check(samples.schema().content_digest == run.provenance.pack_digest, "it holds another pack by now");
  return samples;
}

}  // namespace xtasc::tabulate
