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
#include "core/temp_folder.hpp"
#include "figure/task_panel.hpp"
#include "io/image/png_encode.hpp"
#include "page/page.hpp"
#include "results/cli/pack_samples.hpp"
#include "results/cli/tabulate.hpp"
#include "task/task.hpp"

namespace xtasc::tabulate {

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

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
  Maps(const task::Task& task, const PackSamples& samples, const Pictures& pictures)
      : task_(task), samples_(samples), pictures_(pictures), range_(figure::range_of(samples.valid_numbers(task))) {
    map_.title = task.name;
    if (task.kind == task::Kind::depth) {
      const bool is_metres = samples.schema().depth_kind == pack::DepthKind::metres;
      map_.scale = fmt::format("{:.3g} to {:.3g}{}", range_.low, range_.high, is_metres ? " m" : ", inverse depth");
    }
    for (const std::int64_t sample : samples.indices()) {
      if (samples.has_truth(task)) {
        map_.truth.push_back(painted(samples.truth(task, sample), true));
      }
    }
  }

  /// What xtasc-predict wrote of one run; nothing where it has no such task.
  void add_run(const fs::path& folder, bool has_task) {
    std::vector<page::Picture>& pictures = map_.predicted.emplace_back();
    for (const std::int64_t sample : has_task ? samples_.indices() : std::vector<std::int64_t>{}) {
      pictures.push_back(painted(samples_.predicted(task_, sample, folder), false));
    }
  }

  [[nodiscard]] const page::PagePanels::Map& map() const { return map_; }

 private:
  [[nodiscard]] page::Picture painted(const PackSamples::Values& values, bool is_truth) const {
    const figure::PanelColumn column = {.head = {}, .kind = figure::map_kind_of(task_), .has_invalid = is_truth};
    const auto map = std::visit([](const auto& numbers) { return figure::Map(std::span(numbers)); }, values);
    return pictures_.of_rgb(
        figure::colored(map, column, samples_.labels().class_colors, range_, figure::InvalidPixels::grey));
  }

  const task::Task& task_;
  const PackSamples& samples_;
  const Pictures& pictures_;
  figure::ValueRange range_;
  page::PagePanels::Map map_;
};

/// The panels of the runs on one pack and label set.
std::optional<page::PagePanels> panels_of(page::Page& page, const std::vector<std::size_t>& runs,
                                          const Options& options) {
  const page::PageRun& first = page.runs[runs.front()];
  const auto warn = [&page](const std::string& text) {
    log_warning("{}", text);
    page.warnings.push_back(text);
  };
  try {
    const PackSamples samples = samples_of(first, options.num_panels, options);
    const pack::Schema& schema = samples.schema();
    const Pictures pictures(schema.height, schema.width);
    std::vector<std::pair<task::Task, Maps>> maps;
    const task::Tasks drawn = figure::drawn_tasks({task::all().begin(), task::all().end()});
    for (const task::Task& task : drawn) {
      const bool is_there = std::ranges::any_of(
          runs, [&](std::size_t run) { return config::system_of(page.runs[run].config.model).has(task.key); });
      if (is_there) {
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
        samples.predict(run, folder.path());
        for (auto& [task, of_task] : maps) {
          of_task.add_run(folder.path(), config::system_of(run.config.model).has(task.key));
        }
        panels.runs.push_back(index);
      } catch (const Error& error) {
        warn(fmt::format("no panels of {}: {}", run.folder.string(), error.what()));
      }
    }
    panels.samples = samples.names();
    for (const std::int64_t sample : samples.indices()) {
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

void add_panels(page::Page& page, const Options& options) {
  std::map<std::pair<std::string, std::string>, std::vector<std::size_t>> by_labels;
  for (std::size_t i = 0; i < page.runs.size(); ++i) {
    const page::PageRun& run = page.runs[i];
    by_labels[{run.provenance.pack_digest, run.config.data.label_set}].push_back(i);
  }
  for (const auto& [labels, runs] : by_labels) {
    if (auto panels = panels_of(page, runs, options)) {
      page.panels.push_back(std::move(*panels));
    }
  }
  options.watch->rest();
  check(!page.panels.empty(), "--panels: no run can be shown{}{}", page.warnings.empty() ? "" : "; ",
        page.warnings.empty() ? "" : page.warnings.back());
}

}  // namespace xtasc::tabulate
