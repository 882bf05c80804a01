#include "data/dataset.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <iterator>
#include <numeric>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "core/huge_pages.hpp"
#include "core/random.hpp"
#include "kernels/augment/augment.hpp"
#include "task/task.hpp"

namespace xtasc::data {

namespace {

template <typename T>
std::span<T> elements(const at::Tensor& tensor) {
  return {static_cast<T*>(tensor.mutable_data_ptr()), static_cast<std::size_t>(tensor.numel())};
}

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

/// For each sample whether any of its values is another than `unknown`.
template <typename T>
std::vector<std::uint8_t> known_in(const at::Tensor& truth, T unknown = {}) {
  std::vector<std::uint8_t> known;
  for (std::int64_t sample = 0; sample < truth.size(0); ++sample) {
    const bool any = std::ranges::any_of(elements<T>(truth[sample]), [unknown](T value) { return value != unknown; });
    known.push_back(any ? 1 : 0);
  }
  return known;
}

/// What of the store holds the truth of a task.
kernels::Truth truth_of_key(std::string_view key) {
  return key == "seg" ? kernels::kLabelTruth : key == "depth" ? kernels::kDepthTruth : kernels::kNormalsTruth;
}

/// Adds what of the pack no Dataset with this label set read. \param read_data  whether images, labels and depth were
void add_rest(pack::ContentDigest& digest, const pack::Reader& reader, pack::Split split, std::size_t label_set,
              bool read_data) {
  pack::add_names_and_flags(digest, reader, split);
  for (std::size_t i = 0; i < reader.schema().label_sets.size(); ++i) {
    if (!read_data || i != label_set) {
      pack::add_data_set(digest, reader, split, 1 + i);
    }
  }
  if (!read_data) {
    pack::add_data_set(digest, reader, split, 0);
    for (std::size_t data_set = pack::depth_data_set(reader.schema());
         data_set < pack::data_set_names(reader.schema()).size(); ++data_set) {
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

Dataset::Dataset(const pack::Reader& reader, pack::Split split, const Reading& reading, at::Device device,
                 pack::ContentDigest* digest)
    : samples_(static_cast<std::size_t>(reader.size(split))) {
  const pack::Schema& schema = reader.schema();
  const std::int64_t count = size();
  std::iota(samples_.begin(), samples_.end(), std::int64_t{0});
  check(count > 0, "{}: split {} is empty", reader.path().string(), pack::split_name(split));
  const bool depth_is_uint16 = schema.depth_type == pack::DepthType::uint16;
  const auto bytes = at::TensorOptions().dtype(at::kByte);
  at::Tensor image = at::empty({count, schema.height, schema.width, 3}, bytes);
  at::Tensor label = at::empty({count, schema.height, schema.width}, bytes);
  at::Tensor depth =
      at::empty({count, schema.height, schema.width}, bytes.dtype(depth_is_uint16 ? at::kUInt16 : at::kFloat));
  at::Tensor normals =
      schema.has_normals() ? at::empty({count, schema.height, schema.width, 3}, bytes.dtype(at::kShort)) : at::Tensor();
  for (const at::Tensor* store : {&image, &label, &depth, &normals}) {
    if (store->defined()) {
      prefer_huge_pages({static_cast<std::byte*>(store->mutable_data_ptr()), store->nbytes()});
    }
  }
  reader.read_images(split, 0, count, elements<std::uint8_t>(image));
  reader.read_labels(split, reading.label_set, 0, count, elements<std::uint8_t>(label));
  if (depth_is_uint16) {
    reader.read_depth(split, 0, count, elements<std::uint16_t>(depth));
  } else {
    reader.read_depth(split, 0, count, elements<float>(depth));
  }
  if (normals.defined()) {
    reader.read_normals(split, 0, count, elements<std::int16_t>(normals));
  }
  if (digest != nullptr) {
    digest->add(split, 0, bytes_of(image));
    digest->add(split, 1 + reading.label_set, bytes_of(label));
    digest->add(split, pack::depth_data_set(schema), bytes_of(depth));
    if (normals.defined()) {
      digest->add(split, pack::normals_data_set(schema), bytes_of(normals));
    }
  }
  for (const std::string& key : pack::label_keys(schema)) {
    labels_.push_back({.key = key, .truth = truth_of_key(key), .has = reader.has_labels(split, key)});
  }
  find_truths(label, depth, normals);
  image_ = image.to(device);
  label_ = label.to(device);
  depth_ = depth.to(device);
  normals_ = normals.defined() ? normals.to(device) : normals;
  depth_is_metric_ = schema.depth_kind == pack::DepthKind::metres;
  depth_scale_ = schema.depth_scale;
  store_ = {.image = image_.const_data_ptr<std::uint8_t>(),
            .label = label_.const_data_ptr<std::uint8_t>(),
            .depth = depth_.const_data_ptr(),
            .normals = normals_.defined() ? normals_.const_data_ptr<std::int16_t>() : nullptr,
            .depth_is_uint16 = depth_is_uint16,
            .height = static_cast<std::int32_t>(schema.height),
            .width = static_cast<std::int32_t>(schema.width),
            .mean = {},
            .inverse_std = {}};
  for (std::size_t c = 0; c < 3; ++c) {
    store_.mean[c] = reading.normalises_images ? static_cast<float>(schema.image_mean[c]) : 0.0F;
    store_.inverse_std[c] = reading.normalises_images ? static_cast<float>(1.0 / schema.image_std[c]) : 1.0F;
  }
}

void Dataset::find_truths(const at::Tensor& label, const at::Tensor& depth, const at::Tensor& normals) {
  for (Labels& labels : labels_) {
    labels.knows = labels.truth == kernels::kLabelTruth     ? known_in<std::uint8_t>(label, pack::kIgnoreLabel)
                   : labels.truth == kernels::kNormalsTruth ? known_in<std::int16_t>(normals)
                   : depth.scalar_type() == at::kUInt16     ? known_in<std::uint16_t>(depth)
                                                            : known_in<float>(depth);
  }
}

Dataset Dataset::take_out(std::span<const std::int64_t> samples) {
  Dataset taken = *this;
  taken.samples_.assign(samples.begin(), samples.end());
  std::vector<std::int64_t> left;
  std::ranges::set_difference(samples_, samples, std::back_inserter(left));
  check(left.size() + samples.size() == samples_.size(), "take_out: a sample that is not there, or not in order");
  samples_ = std::move(left);
  return taken;
}

std::vector<std::string> Dataset::label_keys() const {
  std::vector<std::string> keys;
  for (const Labels& labels : labels_) {
    keys.push_back(labels.key);
  }
  return keys;
}

const Dataset::Labels& Dataset::labels_of(std::string_view task) const {
  const auto found = std::ranges::find(labels_, task, &Labels::key);
  check(found != labels_.end(), "the pack has no labels of task \"{}\"", task);
  return *found;
}

std::int64_t Dataset::num_with_labels(std::string_view task) const {
  const std::vector<std::uint8_t>& has = labels_of(task).has;
  return has.empty() ? size() : std::ranges::count_if(samples_, [&has](std::int64_t sample) {
    return has[static_cast<std::size_t>(sample)] != 0;
  });
}

bool Dataset::has_truth_of(std::string_view task) const {
  const auto found = std::ranges::find(labels_, task, &Labels::key);
  return found != labels_.end() && std::ranges::any_of(samples_, [&](std::int64_t sample) {
           const auto i = static_cast<std::size_t>(sample);
           return found->knows[i] != 0 && (found->has.empty() || found->has[i] != 0);
         });
}

void Dataset::keep_labels(const KeptLabels& kept) {
  if (kept.share == 1.0 && !kept.one_task) {
    return;
  }
  std::vector<std::size_t> chosen(
      static_cast<std::size_t>(image_.size(0)));  // by sample: a task of which it has labels
  for (std::size_t sample = 0; sample < chosen.size(); ++sample) {
    std::vector<std::size_t> there;
    for (std::size_t task = 0; task < labels_.size(); ++task) {
      if (labels_[task].has.empty() || labels_[task].has[sample] != 0) {
        there.push_back(task);
      }
    }
    chosen[sample] = there.empty() ? 0 : there[RandomStream(kept.seed, Purpose::labels, 0, sample).below(there.size())];
  }
  for (std::size_t task = 0; task < labels_.size(); ++task) {
    Labels& labels = labels_[task];
    labels.has.resize(chosen.size(), 1);
    for (std::size_t sample = 0; sample < labels.has.size(); ++sample) {
      const bool is_in_share =
          RandomStream(kept.seed, Purpose::labels, hash_name(labels.key), sample).uniform() < kept.share;
      const bool is_the_one = !kept.one_task || chosen[sample] == task;
      labels.has[sample] = is_in_share && is_the_one ? labels.has[sample] : 0;
    }
  }
}

std::uint32_t Dataset::hidden_of(std::int64_t sample) const {
  std::uint32_t hidden = 0;
  for (const Labels& labels : labels_) {
    const bool is_there = labels.has.empty() || labels.has[static_cast<std::size_t>(sample)] != 0;
    hidden |= is_there ? 0U : static_cast<std::uint32_t>(labels.truth);
  }
  return hidden;
}

Batch Dataset::batch(std::span<const std::int64_t> samples, std::span<const Augmentation> augmentations) const {
  check(samples.size() == augmentations.size(), "{} samples, but {} augmentations", samples.size(),
        augmentations.size());
  std::vector<kernels::SampleView> views;
  views.reserve(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const Augmentation& a = augmentations[i];
    check(samples[i] >= 0 && samples[i] < image_.size(0), "sample {} of {}", samples[i], image_.size(0));
    // A scene seen s times larger is s times nearer; inverse depth is left alone, as in the 2021 code.
    const double factor = depth_is_metric_ ? depth_scale_ / a.scale : depth_scale_;
    views.push_back({.index = samples[i],
                     .window_y = static_cast<std::int32_t>(a.window_y),
                     .window_x = static_cast<std::int32_t>(a.window_x),
                     .window_height = static_cast<std::int32_t>(a.window_height),
                     .window_width = static_cast<std::int32_t>(a.window_width),
                     .depth_factor = static_cast<float>(factor),
                     .flip = a.flip ? 1 : 0,
                     .hidden = hidden_of(samples[i])});
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
  kernels::BatchMemory memory = {.image = out.image_n3hw.mutable_data_ptr<float>(),
                                 .label = label.mutable_data_ptr<std::int64_t>(),
                                 .depth = depth.mutable_data_ptr<float>(),
                                 .normals = nullptr};
  if (normals_.defined()) {
    const at::Tensor normals =
        at::empty({n, 3, height(), width()}, options.dtype(at::kFloat), at::MemoryFormat::ChannelsLast);
    memory.normals = normals.mutable_data_ptr<float>();
    out.targets.emplace("normals", normals);
  }
  for (const Labels& labels : labels_) {
    if (!labels.has.empty()) {
      out.targets.emplace(task::flags_key(labels.key), flags_of(labels, views));
    }
  }
  const KernelMark mark("augmentation: augment");
  kernels::augment(store_, views, memory, image_.device());
  return out;
}

at::Tensor Dataset::flags_of(const Labels& labels, const std::vector<kernels::SampleView>& views) const {
  const at::Tensor flags = at::empty({static_cast<std::int64_t>(views.size())}, at::kByte);
  std::ranges::transform(
      views, flags.mutable_data_ptr<std::uint8_t>(),
      [&labels](const kernels::SampleView& view) -> std::uint8_t { return (view.hidden & labels.truth) == 0 ? 1 : 0; });
  return sent_to(flags, image_.device());
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

Splits read_splits(const pack::Reader& reader, const Reading& reading, at::Device device) {
  pack::ContentDigest digest(reader.schema());
  Splits splits = {Dataset(reader, pack::Split::train, reading, device, &digest),
                   Dataset(reader, pack::Split::val, reading, device, &digest)};
  for (const pack::Split split : {pack::Split::train, pack::Split::val}) {
    add_rest(digest, reader, split, reading.label_set, /*read_data=*/true);
  }
  check_unchanged(digest, reader);
  return splits;
}

Dataset read_split(const pack::Reader& reader, pack::Split split, const Reading& reading, at::Device device) {
  pack::ContentDigest digest(reader.schema());
  Dataset dataset(reader, split, reading, device, &digest);
  for (const pack::Split each : {pack::Split::train, pack::Split::val}) {
    add_rest(digest, reader, each, reading.label_set, /*read_data=*/each == split);
  }
  check_unchanged(digest, reader);
  return dataset;
}

at::Tensor sent_to(const at::Tensor& on_host, at::Device device) {
  return device.is_cuda() ? on_host.pin_memory().to(device, /*non_blocking=*/true) : on_host.to(device);
}

at::Tensor draws_of(std::span<const std::int64_t> samples, std::int64_t count, std::uint64_t seed, std::int64_t step,
                    at::Device device) {
  const at::Tensor draws = at::empty({static_cast<std::int64_t>(samples.size()), count}, at::kFloat);
  auto* next = draws.mutable_data_ptr<float>();
  for (const std::int64_t sample : samples) {
    RandomStream stream(seed, Purpose::dropout, static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(sample));
    next = std::generate_n(next, count, [&stream] { return static_cast<float>(stream.uniform()); });
  }
  return sent_to(draws, device);
}

std::vector<std::int64_t> epoch_samples(const Dataset& train, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::int64_t> samples = epoch_order(seed, epoch, train.size());
  for (std::int64_t& sample : samples) {
    sample = train.samples()[static_cast<std::size_t>(sample)];
  }
  return samples;
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
