// --panels: what runs predict of some samples of their packs, by xtasc-predict, beside the truth.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <span>
#include <utility>

#include "config/systems.hpp"
#include "core/log.hpp"
#include "core/process.hpp"
#include "core/temp_folder.hpp"
#include "figure/task_panel.hpp"
#include "io/file.hpp"
#include "io/image/image.hpp"
#include "io/image/png_encode.hpp"
#include "io/npy.hpp"
#include "pack/reader.hpp"
#include "page/page.hpp"
#include "results/cli/tabulate.hpp"
#include "run/pack_now.hpp"
#include "task/task.hpp"

namespace xtasc::tabulate {

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;
using Numbers = std::vector<float>;

constexpr auto kSplit = pack::Split::val;

/// RFC 4648, section 4.
std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = bits << 8U | (i < count ? static_cast<std::uint8_t>(bytes[at + i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      text += i <= count ? kDigits[bits >> (18U - 6U * i) & 63U] : '=';
    }
  }
  return text;
}

/// The samples of one pack, and how their maps are painted.
class Samples {
 public:
  Samples(const fs::path& path, const std::string& label_set, std::int64_t wanted)
      : reader_(path), label_set_(pack::find_label_set(reader_.schema(), label_set)) {
    const std::int64_t size = reader_.size(kSplit);
    const std::int64_t count = std::min(wanted, size);
    check(count > 0, "its validation split has no samples");
    for (std::int64_t i = 0; i < count; ++i) {
      indices_.push_back(i * size / count);  // over the whole split
    }
  }

  [[nodiscard]] const pack::Schema& schema() const { return reader_.schema(); }
  [[nodiscard]] const pack::Reader& reader() const { return reader_; }
  [[nodiscard]] const std::vector<std::int64_t>& indices() const { return indices_; }
  [[nodiscard]] const pack::LabelSet& labels() const { return reader_.schema().label_sets[label_set_]; }
  [[nodiscard]] std::size_t num_pixels() const {
    return static_cast<std::size_t>(reader_.schema().height * reader_.schema().width);
  }

  [[nodiscard]] Bytes image(std::int64_t sample) const {
    Bytes image(3 * num_pixels());
    reader_.read_images(kSplit, sample, 1, image);
    return image;
  }

  [[nodiscard]] Bytes true_labels(std::int64_t sample) const {
    Bytes labels(num_pixels());
    reader_.read_labels(kSplit, label_set_, sample, 1, labels);
    return labels;
  }

  /// In the pack's unit; 0: unknown.
  [[nodiscard]] Numbers true_depth(std::int64_t sample) const {
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

  /// 3 x height x width; 0 0 0: unknown.
  [[nodiscard]] Numbers true_normals(std::int64_t sample) const {
    std::vector<std::int16_t> stored(3 * num_pixels());
    reader_.read_normals(kSplit, sample, 1, stored);
    return planes(stored);
  }

  /// 3 x height x width of height x width x 3.
  template <typename T>
  [[nodiscard]] Numbers planes(const std::vector<T>& interleaved) const {
    Numbers planes(3 * num_pixels());
    for (std::size_t i = 0; i < planes.size(); ++i) {
      planes[i % 3 * num_pixels() + i / 3] = static_cast<float>(interleaved.at(i));
    }
    return planes;
  }

 private:
  pack::Reader reader_;
  std::size_t label_set_;
  std::vector<std::int64_t> indices_;
};

/// Pictures as they stand in the page.
class Pictures {
 public:
  Pictures(std::int64_t height, std::int64_t width) : height_(height), width_(width) {}

  page::Picture of_rgb(const Bytes& rgb) const {
    const std::vector<std::byte> png = io::encode_png(std::span<const std::uint8_t>(rgb), height_, width_, 3,
                                                      io::PngEffort::thorough, "a picture of the page");
    return "data:image/png;base64," + base64({reinterpret_cast<const char*>(png.data()), png.size()});
  }

 private:
  std::int64_t height_, width_;
};

/// One task's maps of all samples of a pack.
class Maps {
 public:
  Maps(const task::Task& task, const Samples& samples, const Pictures& pictures)
      : task_(task), samples_(samples), pictures_(pictures) {
    map_.title = task.name;
    std::vector<float> valid;
    for (const std::int64_t sample : samples.indices()) {
      if (task.kind == task::Kind::depth) {
        std::ranges::copy_if(samples.true_depth(sample), std::back_inserter(valid),
                             [](float depth) { return depth > 0.0F; });
      }
    }
    range_ = figure::range_of(std::move(valid));
    if (task.kind == task::Kind::depth) {
      const bool is_metres = samples.schema().depth_kind == pack::DepthKind::metres;
      map_.scale = fmt::format("{:.3g} to {:.3g}{}", range_.low, range_.high, is_metres ? " m" : ", inverse depth");
    }
    const bool has_truth = task.kind != task::Kind::unit_vector || samples.schema().has_normals();
    for (const std::int64_t sample : samples.indices()) {
      if (has_truth) {
        map_.truth.push_back(truth(sample));
      }
    }
  }

  /// What xtasc-predict wrote of one run; nothing where it has no such task.
  void add_run(const fs::path& folder, bool has_task) {
    std::vector<page::Picture>& pictures = map_.predicted.emplace_back();
    for (const std::int64_t sample : has_task ? samples_.indices() : std::vector<std::int64_t>{}) {
      const std::string stem = fmt::format("{}_{:05}_{}", pack::split_name(kSplit), sample, task_.truth);
      if (task_.kind == task::Kind::classes) {
        pictures.push_back(painted(io::read_grey8_image(folder / (stem + ".png")).pixels, false));
        continue;
      }
      const std::vector<double> values = io::read_npy_numbers(folder / (stem + ".npy")).values;
      pictures.push_back(painted(
          task_.kind == task::Kind::depth ? Numbers(values.begin(), values.end()) : samples_.planes(values), false));
    }
  }

  [[nodiscard]] const page::PagePanels::Map& map() const { return map_; }

 private:
  [[nodiscard]] page::Picture truth(std::int64_t sample) const {
    switch (task_.kind) {
      case task::Kind::classes:
        return painted(samples_.true_labels(sample), true);
      case task::Kind::depth:
        return painted(samples_.true_depth(sample), true);
      case task::Kind::unit_vector:
        return painted(samples_.true_normals(sample), true);
    }
    return {};
  }

  template <typename T>
  [[nodiscard]] page::Picture painted(const std::vector<T>& values, bool is_truth) const {
    const figure::PanelColumn column = {.head = {}, .kind = figure::map_kind_of(task_), .has_invalid = is_truth};
    return pictures_.of_rgb(figure::colored(std::span(values), column, samples_.labels().class_colors, range_,
                                            figure::InvalidPixels::grey));
  }

  const task::Task& task_;
  const Samples& samples_;
  const Pictures& pictures_;
  figure::ValueRange range_;
  page::PagePanels::Map map_;
};

/// Has xtasc-predict write a run's predictions into a folder. \throws Error with its words
void predict(const page::PageRun& run, const Samples& samples, const fs::path& folder) {
  const fs::path program = fs::read_symlink("/proc/self/exe").parent_path() / "xtasc-predict";
  const fs::path log = folder / "log.txt";
  Process process(
      {.command = {program.string(), "--run", run.folder.string(), "--pack", samples.reader().path().string(),
                   "--split", std::string(pack::split_name(kSplit)), "--samples",
                   fmt::format("{}", fmt::join(samples.indices(), ",")), "--output", folder.string()},
       .log = log,
       .if_missing =
           fmt::format("--panels needs xtasc-predict beside this program: {} is not there", program.string())});
  if (process.wait() != 0) {
    const std::string text = io::read_file(log);
    const std::size_t error = text.rfind(": error: ");
    fail("{}", error == std::string::npos ? "xtasc-predict failed: " + text
                                          : text.substr(error + 9, text.find('\n', error) - error - 9));
  }
}

/// The panels of the runs on one pack and label set.
std::optional<page::PagePanels> panels_of(page::Page& page, const std::vector<std::size_t>& runs,
                                          std::int64_t num_samples) {
  const page::PageRun& first = page.runs[runs.front()];
  const fs::path pack = run::last_pack_path(first.provenance);
  const auto warn = [&page](const std::string& text) {
    log_warning("{}", text);
    page.warnings.push_back(text);
  };
  try {
    check(!pack.empty(), "their provenance names no pack");
    const Samples samples(pack, first.config.data.label_set, num_samples);
    const pack::Schema& schema = samples.schema();
    check(schema.content_digest == first.provenance.pack_digest, "it holds another pack by now");
    const Pictures pictures(schema.height, schema.width);
    std::vector<std::pair<task::Task, Maps>> maps;
    for (const task::Task& task : task::all()) {
      const bool is_there = std::ranges::any_of(
          runs, [&](std::size_t run) { return config::system_of(page.runs[run].config.model).has(task.key); });
      if (is_there && (task.channels < 2 || task.kind == task::Kind::unit_vector)) {
        maps.emplace_back(task, Maps(task, samples, pictures));
      }
    }
    page::PagePanels panels{
        .runs = {}, .samples = {}, .images = {}, .maps = {}, .height = schema.height, .width = schema.width};
    for (const std::size_t index : runs) {
      const page::PageRun& run = page.runs[index];
      try {
        const TempFolder folder({}, "xtasc-panels-");
        log_info("predicting with {}", run.folder.string());
        predict(run, samples, folder.path());
        for (auto& [task, of_task] : maps) {
          of_task.add_run(folder.path(), config::system_of(run.config.model).has(task.key));
        }
        panels.runs.push_back(index);
      } catch (const Error& error) {
        warn(fmt::format("no panels of {}: {}", run.folder.string(), error.what()));
      }
    }
    const std::vector<std::string> names = samples.reader().names(kSplit);
    for (const std::int64_t sample : samples.indices()) {
      panels.samples.push_back(names.at(static_cast<std::size_t>(sample)));
      panels.images.push_back(pictures.of_rgb(samples.image(sample)));
    }
    std::ranges::transform(maps, std::back_inserter(panels.maps), [](const auto& of) { return of.second.map(); });
    const pack::LabelSet& labels = samples.labels();
    for (std::size_t i = 0; i < labels.class_names.size(); ++i) {
      panels.classes.push_back({labels.class_names[i], fmt::format("#{:02x}", fmt::join(labels.class_colors[i], ""))});
    }
    return panels.runs.empty() ? std::nullopt : std::optional(std::move(panels));
  } catch (const Error& error) {
    warn(fmt::format("no panels of {}{}: {}", first.folder.string(),
                     runs.size() == 1 ? "" : fmt::format(" and {} more on its pack", runs.size() - 1), error.what()));
    return std::nullopt;
  }
}

}  // namespace

void add_panels(page::Page& page, std::int64_t num_samples) {
  std::map<std::pair<std::string, std::string>, std::vector<std::size_t>> by_labels;
  for (std::size_t i = 0; i < page.runs.size(); ++i) {
    const page::PageRun& run = page.runs[i];
    by_labels[{run.provenance.pack_digest, run.config.data.label_set}].push_back(i);
  }
  for (const auto& [labels, runs] : by_labels) {
    if (auto panels = panels_of(page, runs, num_samples)) {
      page.panels.push_back(std::move(*panels));
    }
  }
  check(!page.panels.empty(), "--panels: no run can be shown{}{}", page.warnings.empty() ? "" : "; ",
        page.warnings.empty() ? "" : page.warnings.back());
}

}  // namespace xtasc::tabulate
