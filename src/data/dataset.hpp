#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/sampler.hpp"
#include "kernels/augment/augment_element.hpp"
#include "pack/digest.hpp"
#include "pack/reader.hpp"

namespace xtasc::data {

/// A batch ready for the net. Empty batches (N = 0) are allowed: a rank's part of a small last batch.
struct Batch {
  at::Tensor image_n3hw;  ///< (N, 3, H, W) float32, as Reading::normalises_images says, channels-last
  /// By the task's key. seg: (N, H, W) int64, 255 = ignored. depth: (N, 1, H, W) float32 in the pack's unit, 0 =
  /// invalid. normals: (N, 3, H, W) float32 of length 1, 0 = invalid; where the pack has some. Where some of the
  /// split's samples have no labels of a task, by task::flags_key() which have: (N) uint8.
  std::map<std::string, at::Tensor, std::less<>> targets;
  std::int64_t first = 0;    ///< the place of the first image in the global batch
  at::Tensor draws_nk = {};  ///< see draws_of(), for networks with dropout; undefined for others

  /// A task's target. \throws Error when there is none: the pack holds no truth of that task
  [[nodiscard]] const at::Tensor& truth_of(std::string_view task) const;
  /// The same, every tensor (an image's or a target's) as `change` makes it.
  [[nodiscard]] Batch changed(const std::function<at::Tensor(const at::Tensor&)>& change) const;
};

/// What is read of a pack, and how.
struct Reading {
  Reading(std::size_t set, bool normalises = true)  // NOLINT(google-explicit-constructor): most need no more
      : label_set(set), normalises_images(normalises) {}

  std::size_t label_set;   ///< index into the schema's label sets
  bool normalises_images;  ///< by the pack's mean and deviation; false: batches have them between 0 and 1
};

/// Which labels of a training split are kept, as if the pack had no others: data.label_share and data.one_label.
struct KeptLabels {
  double share = 1.0;     ///< of the samples, whose labels of a task are kept, drawn by (seed, task, sample)
  bool one_task = false;  ///< each sample keeps the labels of one task, drawn by (seed, sample) among those that it has
  std::uint64_t seed = 0;
};

/// One split of a pack, or some of its samples, resident on the device as it is stored (uint8, int16, uint16 or
/// float32): batches are cut from it there.
class Dataset {
 public:
  /// Reads the whole split. \param digest  sees every byte that was read; may be null
  /// \throws Error naming pack and samples when a checksum is wrong, or when the split is empty.
  Dataset(const pack::Reader& reader, pack::Split split, const Reading& reading, at::Device device,
          pack::ContentDigest* digest = nullptr);

  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(samples_.size()); }
  /// What it holds, by its place in the pack's split; in order.
  [[nodiscard]] std::span<const std::int64_t> samples() const { return samples_; }
  /// Moves some of its samples, given in order, into a data set of their own, which shares this one's memory.
  [[nodiscard]] Dataset take_out(std::span<const std::int64_t> samples);
  [[nodiscard]] std::int64_t height() const { return store_.height; }
  [[nodiscard]] std::int64_t width() const { return store_.width; }
  [[nodiscard]] at::Device device() const { return image_.device(); }
  /// Whether any pixel has a truth of the task.
  [[nodiscard]] bool has_truth_of(std::string_view task) const;
  /// The keys of the tasks that the pack has labels of.
  [[nodiscard]] std::vector<std::string> label_keys() const;
  /// How many samples have labels of the task.
  [[nodiscard]] std::int64_t num_with_labels(std::string_view task) const;
  /// Keeps some of the labels that there are, and hides the others.
  void keep_labels(const KeptLabels& kept);

  /// The samples with their augmentations; as many of one as of the other. \param samples  by their places in the split
  [[nodiscard]] Batch batch(std::span<const std::int64_t> samples, std::span<const Augmentation> augmentations) const;
  /// The samples as they are.
  [[nodiscard]] Batch batch(std::span<const std::int64_t> samples) const;

 private:
  [[nodiscard]] Batch gather(const std::vector<kernels::SampleView>& views) const;

  /// What of the truth a task looks at, and which samples of the whole split have it.
  struct Labels {
    std::string key;
    kernels::Truth truth;
    std::vector<std::uint8_t> has;         ///< one a sample; empty: all
    std::vector<std::uint8_t> knows = {};  ///< one a sample: whether any pixel has a truth
  };
  void find_truths(const at::Tensor& label, const at::Tensor& depth, const at::Tensor& normals);
  /// Which of the views' samples have these labels. \returns (views) uint8 on the device
  [[nodiscard]] at::Tensor flags_of(const Labels& labels, const std::vector<kernels::SampleView>& views) const;
  /// The truths that a sample does not have.
  [[nodiscard]] std::uint32_t hidden_of(std::int64_t sample) const;

  [[nodiscard]] const Labels& labels_of(std::string_view task) const;

  std::vector<std::int64_t> samples_;
  std::vector<Labels> labels_;  ///< in the order of pack::label_keys()
  bool depth_is_metric_ = false;
  double depth_scale_ = 1.0;
  at::Tensor image_, label_, depth_, normals_;  ///< normals: undefined where the pack has none
  kernels::SampleStore store_{};
};

/// Both splits of a pack.
struct Splits {
  Dataset train, val;
  std::optional<Dataset> held_out = std::nullopt;  ///< what was taken out of `train`, to choose an epoch by
};

/// Reads both splits and compares what they hold with the digest in the pack's header, which names the run.
/// \throws Error as Dataset does; also when the pack was changed after it was made.
[[nodiscard]] Splits read_splits(const pack::Reader& reader, const Reading& reading, at::Device device);

/// Reads one split; of the other no more than the digest needs. \throws Error as read_splits does
[[nodiscard]] Dataset read_split(const pack::Reader& reader, pack::Split split, const Reading& reading,
                                 at::Device device);

/// Small numbers for a batch, on their way to the device, which the host does not wait for.
[[nodiscard]] at::Tensor sent_to(const at::Tensor& on_host, at::Device device);

/// (samples, count) float32 on `device`: draws from [0, 1) for a step, each sample's a function of (seed, step,
/// sample).
[[nodiscard]] at::Tensor draws_of(std::span<const std::int64_t> samples, std::int64_t count, std::uint64_t seed,
                                  std::int64_t step, at::Device device);

/// The samples of a data set in an epoch's order, see epoch_order().
[[nodiscard]] std::vector<std::int64_t> epoch_samples(const Dataset& train, std::uint64_t seed, std::int64_t epoch);

/// The samples as an epoch augments them: a function of (seed, epoch, sample).
[[nodiscard]] Batch draw_batch(const Dataset& train, std::span<const std::int64_t> samples,
                               const AugmentationOptions& options, std::uint64_t seed, std::int64_t epoch);

}  // namespace xtasc::data
