#include "data/dataset.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "core/huge_pages.hpp"
#include "core/random.hpp"
#include "kernels/augment/augment.hpp"

namespace xtasc::data {

namespace {

template <typename T>
std::span<T> elements(const at::Tensor& tensor) {
  return {static_cast<T*>(tensor.mutable_data_ptr()), static_cast<std::size_t>(tensor.numel())};
}

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

/// Whether any depth is larger than 0.
template <typename T>
bool any_positive(const at::Tensor& depth) {
  const auto values = elements<T>(depth);
  return std::ranges::any_of(values, [](T value) { return value > T{0}; });
}

/// Adds what of the pack no Dataset with this label set read. \param read_data  whether images, labels and depth were
void add_rest(pack::ContentDigest& digest, const pack::Reader& reader, pack::Split split, std::size_t label_set,
              bool read_data) {
  pack::add_names_and_flags(digest, reader, split);
  const std::array of_dataset = {std::size_t{0}, 1 + label_set, pack::depth_data_set(reader.schema())};
  const std::size_t num_data_sets = pack::data_set_names(reader.schema()).size();
  for (std::size_t data_set = 0; data_set < num_data_sets; ++data_set) {
    if (!read_data || std::ranges::find(of_dataset, data_set) == of_dataset.end()) {
      pack::add_data_set(digest, reader, split, data_set);
    }
  }
}

void check_unchanged(const pack::ContentDigest& digest, const pack::Reader& reader) {
  const std::string& header = reader.schema().content_digest;
  const std::string found = digest.hex(reader.schema());
  check(found == header,
        "{}: its header has the content digest {}, what it holds gives {}: it was changed after it was packed, and is "
        "not the data that its digest names; pack it again, or put the unchanged file back",
        reader.path().string(), header, found);
}

}  // namespace

Dataset::Dataset(const pack::Reader& reader, pack::Split split, std::size_t label_set, at::Device device,
                 pack::ContentDigest* digest)
    : size_(reader.size(split)) {
  const pack::Schema& schema = reader.schema();
  check(size_ > 0, "{}: split {} is empty", reader.path().string(), pack::split_name(split));
  const bool depth_is_uint16 = schema.depth_type == pack::DepthType::uint16;
  const auto bytes = at::TensorOptions().dtype(at::kByte);
  at::Tensor image = at::empty({size_, schema.height, schema.width, 3}, bytes);
  at::Tensor label = at::empty({size_, schema.height, schema.width}, bytes);
  at::Tensor depth =
      at::empty({size_, schema.height, schema.width}, bytes.dtype(depth_is_uint16 ? at::kUInt16 : at::kFloat));
  for (const at::Tensor* store : {&image, &label, &depth}) {
    prefer_huge_pages({static_cast<std::byte*>(store->mutable_data_ptr()), store->nbytes()});
  }
  reader.read_images(split, 0, size_, elements<std::uint8_t>(image));
  reader.read_labels(split, label_set, 0, size_, elements<std::uint8_t>(label));
  if (depth_is_uint16) {
    reader.read_depth(split, 0, size_, elements<std::uint16_t>(depth));
  } else {
    reader.read_depth(split, 0, size_, elements<float>(depth));
  }
  if (digest != nullptr) {
    digest->add(split, 0, bytes_of(image));
    digest->add(split, 1 + label_set, bytes_of(label));
    digest->add(split, pack::depth_data_set(schema), bytes_of(depth));
  }
  if (std::ranges::any_of(elements<std::uint8_t>(label),
                          [](std::uint8_t value) { return value != pack::kIgnoreLabel; })) {
    tasks_with_truth_.insert("seg");
  }
  if (depth_is_uint16 ? any_positive<std::uint16_t>(depth) : any_positive<float>(depth)) {
    tasks_with_truth_.insert("depth");
  }
  image_ = image.to(device);
  label_ = label.to(device);
  depth_ = depth.to(device);
  depth_is_metric_ = schema.depth_kind == pack::DepthKind::metres;
  depth_scale_ = schema.depth_scale;
  store_ = {.image = image_.const_data_ptr<std::uint8_t>(),
            .label = label_.const_data_ptr<std::uint8_t>(),
            .depth = depth_.const_data_ptr(),
            .depth_is_uint16 = depth_is_uint16,
            .height = static_cast<std::int32_t>(schema.height),
            .width = static_cast<std::int32_t>(schema.width),
            .mean = {},
            .inverse_std = {}};
  for (std::size_t c = 0; c < 3; ++c) {
    store_.mean[c] = static_cast<float>(schema.image_mean[c]);
    store_.inverse_std[c] = static_cast<float>(1.0 / schema.image_std[c]);
  }
}

Batch Dataset::batch(std::span<const std::int64_t> samples, std::span<const Augmentation> augmentations) const {
  check(samples.size() == augmentations.size(), "{} samples, but {} augmentations", samples.size(),
        augmentations.size());
  std::vector<kernels::SampleView> views;
  views.reserve(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const Augmentation& a = augmentations[i];
    check(samples[i] >= 0 && samples[i] < size_, "sample {} of {}", samples[i], size_);
    // A scene seen s times larger is s times nearer; inverse depth is left alone, as in the 2021 code.
    const double factor = depth_is_metric_ ? depth_scale_ / a.scale : depth_scale_;
    views.push_back({.index = samples[i],
                     .window_y = static_cast<std::int32_t>(a.window_y),
                     .window_x = static_cast<std::int32_t>(a.window_x),
                     .window_height = static_cast<std::int32_t>(a.window_height),
                     .window_width = static_cast<std::int32_t>(a.window_width),
                     .depth_factor = static_cast<float>(factor),
                     .flip = a.flip ? 1 : 0});
  }
  return gather(views);
}

Batch Dataset::batch(std::span<const std::int64_t> samples) const {
  const std::vector<Augmentation> none(samples.size(), {.window_height = height(), .window_width = width()});
  return batch(samples, none);
}

Batch Dataset::gather(const std::vector<kernels::SampleView>& views) const {
  const auto n = static_cast<std::int64_t>(views.size());
  const auto options = image_.options();
  const at::Tensor label = at::empty({n, height(), width()}, options.dtype(at::kLong));
  const at::Tensor depth = at::empty({n, 1, height(), width()}, options.dtype(at::kFloat));
  Batch out{
      .image_n3hw = at::empty({n, 3, height(), width()}, options.dtype(at::kFloat), at::MemoryFormat::ChannelsLast),
      .targets = {{"seg", label}, {"depth", depth}}};
  const kernels::BatchMemory memory = {.image = out.image_n3hw.mutable_data_ptr<float>(),
                                       .label = label.mutable_data_ptr<std::int64_t>(),
                                       .depth = depth.mutable_data_ptr<float>()};
  const KernelMark mark("augmentation: augment");
  kernels::augment(store_, views, memory, image_.device());
  return out;
}

const at::Tensor& Batch::truth_of(std::string_view task) const {
  const auto found = targets.find(task);
  if (found != targets.end()) {
    return found->second;
  }
  std::vector<std::string> held;
  for (const auto& [key, target] : targets) {
    held.push_back(key);
  }
  fail("the samples hold no truth of task \"{}\", only of {}: another pack is needed, or a system without that task",
       task, fmt::join(held, ", "));
}

Batch Batch::changed(const std::function<at::Tensor(const at::Tensor&)>& change) const {
  Batch result{.image_n3hw = change(image_n3hw), .targets = {}, .first = first};
  result.draws_nk = draws_nk.defined() ? change(draws_nk) : draws_nk;
  for (const auto& [task, target] : targets) {
    result.targets.emplace(task, change(target));
  }
  return result;
}

Splits read_splits(const pack::Reader& reader, std::size_t label_set, at::Device device) {
  pack::ContentDigest digest(reader.schema());
  Splits splits = {Dataset(reader, pack::Split::train, label_set, device, &digest),
                   Dataset(reader, pack::Split::val, label_set, device, &digest)};
  for (const pack::Split split : {pack::Split::train, pack::Split::val}) {
    add_rest(digest, reader, split, label_set, /*read_data=*/true);
  }
  check_unchanged(digest, reader);
  return splits;
}

Dataset read_split(const pack::Reader& reader, pack::Split split, std::size_t label_set, at::Device device) {
  pack::ContentDigest digest(reader.schema());
  Dataset dataset(reader, split, label_set, device, &digest);
  for (const pack::Split each : {pack::Split::train, pack::Split::val}) {
    add_rest(digest, reader, each, label_set, /*read_data=*/each == split);
  }
  check_unchanged(digest, reader);
  return dataset;
}

at::Tensor draws_of(std::span<const std::int64_t> samples, std::int64_t count, std::uint64_t seed, std::int64_t step,
                    at::Device device) {
  const at::Tensor draws = at::empty({static_cast<std::int64_t>(samples.size()), count}, at::kFloat);
  auto* next = draws.mutable_data_ptr<float>();
  for (const std::int64_t sample : samples) {
    RandomStream stream(seed, Purpose::dropout, static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(sample));
    next = std::generate_n(next, count, [&stream] { return static_cast<float>(stream.uniform()); });
  }
  return device.is_cuda() ? draws.pin_memory().to(device, /*non_blocking=*/true) : draws.to(device);
}

Batch draw_batch(const Dataset& train, std::span<const std::int64_t> samples, const AugmentationOptions& options,
                 std::uint64_t seed, std::int64_t epoch) {
  std::vector<Augmentation> augmentations;
  for (const std::int64_t sample : samples) {
    augmentations.push_back(draw_augmentation(options, seed, epoch, sample, train.height(), train.width()));
  }
  return train.batch(samples, augmentations);
}

}  // namespace xtasc::data
