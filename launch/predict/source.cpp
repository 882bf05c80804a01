#include "launch/predict/source.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "core/error.hpp"
#include "data/dataset.hpp"
#include "io/image/image.hpp"
#include "pack/reader.hpp"
#include "preprocess/resize.hpp"

namespace xtasc::launch {

namespace {

namespace fs = std::filesystem;

class Files final : public Source {
 public:
  Files(std::vector<Picture> pictures, const DataFacts& facts)
      : pictures_(std::move(pictures)), height_(facts.height), width_(facts.width), resize_(facts.resize) {
    const auto constants = at::TensorOptions().dtype(at::kFloat);
    mean_ = at::tensor(at::ArrayRef<double>(facts.mean), constants).view({1, 3, 1, 1});
    std::array<double, 3> inverse{};
    std::ranges::transform(facts.deviation, inverse.begin(), [](double deviation) { return 1.0 / deviation; });
    inverse_ = at::tensor(at::ArrayRef<double>(inverse), constants).view({1, 3, 1, 1});
    rules_.orientation = facts.orientation == "ignore" ? io::Orientation::ignore : io::Orientation::apply;
  }

  [[nodiscard]] std::size_t size() const override { return pictures_.size(); }
  [[nodiscard]] std::string title(std::size_t i) const override {
    return (pictures_[i].name.parent_path() / pictures_[i].path.filename()).string();
  }
  [[nodiscard]] fs::path name(std::size_t i) const override { return pictures_[i].name; }

  [[nodiscard]] Input read(std::size_t i, bool is_shown) const override {
    io::Image<std::uint8_t> image = io::read_rgb_image(pictures_[i].path, rules_);
    Input input;
    input.height = image.height;
    input.width = image.width;
    input.is_turned = image.orientation != 1;
    input.is_resized = image.height != height_ || image.width != width_;
    input.remark = std::move(image.remark);
    const at::Tensor small = resized(image.pixels, {image.height, image.width});
    if (is_shown) {
      input.rgb = model::bytes_of(small.round().clamp(0, 255).permute({0, 2, 3, 1}));
    }
    input.image_13hw = (small / 255.0 - mean_) * inverse_;  // as kernels::image_element has it of a pack's
    return input;
  }

 private:
  /// (1, 3, H, W) float32, 0 to 255.
  [[nodiscard]] at::Tensor resized(std::vector<std::uint8_t>& rgb, preprocess::Size from) const {
    const preprocess::Size to = {height_, width_};
    const bool is_smooth = resize_ == ImageResize::smooth;
    if (from != to && !is_smooth) {
      rgb = resize_ == ImageResize::area
                ? preprocess::resize_area(rgb, from, to)
                : preprocess::resize_nearest(std::span<const std::uint8_t>(rgb), from, to, /*channels=*/3);
      from = to;
    }
    const at::Tensor pixels = at::from_blob(rgb.data(), {1, from.height, from.width, 3}, at::kByte)
                                  .permute({0, 3, 1, 2})
                                  .to(at::kFloat)
                                  .contiguous();
    return from == to ? pixels : at::_upsample_bilinear2d_aa(pixels, {height_, width_}, /*align_corners=*/false);
  }

  std::vector<Picture> pictures_;
  std::int64_t height_, width_;
  ImageResize resize_;
  io::ImageRules rules_;
  at::Tensor mean_, inverse_;
};

class Samples final : public Source {
 public:
  Samples(const SamplesWanted& wanted, const LoadedModel& model, const DataFacts& facts, ProgramWatch& watch)
      : reader_(wanted.pack),
        split_name_(wanted.split),
        split_(wanted.split == "val" ? pack::Split::val : pack::Split::train),
        names_(reader_.names(split_)),
        samples_(wanted.samples),
        tasks_(model.learner->net.tasks()),
        height_(reader_.schema().height),
        width_(reader_.schema().width) {
    if (facts.height != height_ || facts.width != width_) {
      fail_usage("--size {}x{}: {} has samples of {}x{}; other sizes are for --images", facts.height, facts.width,
                 wanted.pack, height_, width_);
    }
    for (const std::int64_t sample : samples_) {
      if (sample < 0 || sample >= reader_.size(split_)) {
        fail_usage("--samples {}: {} has samples 0 to {} in {}", sample, wanted.pack, reader_.size(split_) - 1,
                   wanted.split);
      }
    }
    std::set<std::int64_t> known;
    std::erase_if(samples_, [&known](std::int64_t sample) { return !known.insert(sample).second; });
    if (samples_.empty()) {
      samples_.resize(static_cast<std::size_t>(reader_.size(split_)));
      std::iota(samples_.begin(), samples_.end(), 0);
    }
    reader_.set_on_part([&watch] { watch.beat("reading the pack"); });
    const std::size_t label_set = pack::find_label_set(reader_.schema(), model.config.data.label_set);
    dataset_.emplace(data::read_split(reader_, split_, {label_set, model.config.data.normalise}, model.device));
  }

  [[nodiscard]] std::size_t size() const override { return samples_.size(); }
  [[nodiscard]] std::string title(std::size_t i) const override {
    return fmt::format("{} {}: {}", split_name_, samples_[i], names_[static_cast<std::size_t>(samples_[i])]);
  }
  [[nodiscard]] fs::path name(std::size_t i) const override {
    return fmt::format("{}_{:05}", split_name_, samples_[i]);
  }

  [[nodiscard]] Input read(std::size_t i, bool is_shown) const override {
    const data::Batch batch = dataset_->batch(std::array{samples_[i]});
    Input input;
    input.image_13hw = batch.image_n3hw;
    input.height = height_;
    input.width = width_;
    if (!is_shown) {
      return input;
    }
    for (const task::Task& task : tasks_) {
      if (const auto truth = batch.targets.find(task.key); truth != batch.targets.end()) {
        input.truth[task.key] = model::true_map(task, truth->second);
      }
    }
    input.rgb.resize(static_cast<std::size_t>(height_ * width_ * 3));
    const std::lock_guard lock(reading_);
    reader_.read_images(split_, samples_[i], 1, input.rgb);
    return input;
  }

 private:
  pack::Reader reader_;
  std::string split_name_;
  pack::Split split_;
  std::vector<std::string> names_;
  std::vector<std::int64_t> samples_;
  const task::Tasks& tasks_;
  std::int64_t height_, width_;
  std::optional<data::Dataset> dataset_;
  mutable std::mutex reading_;  ///< HDF5 is for one thread at a time
};

}  // namespace

std::unique_ptr<Source> source_of_files(std::vector<Picture> pictures, const DataFacts& facts) {
  return std::make_unique<Files>(std::move(pictures), facts);
}

std::unique_ptr<Source> source_of_samples(const SamplesWanted& wanted, const LoadedModel& model, const DataFacts& facts,
                                          ProgramWatch& watch) {
  return std::make_unique<Samples>(wanted, model, facts, watch);
}

}  // namespace xtasc::launch
