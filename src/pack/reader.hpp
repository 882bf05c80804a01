#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pack/schema.hpp"

namespace xtasc::pack {

/// A pack opened for reading. The constructor checks format, version, every attribute and every data set's type and
/// shape; it reads no samples. Not thread safe (HDF5 is not).
class Reader {
 public:
  /// \throws Error  naming the file and the attribute or data set that is missing or wrong, and what would be right.
  explicit Reader(const std::filesystem::path& path);
  ~Reader();
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;

  [[nodiscard]] const Schema& schema() const;
  [[nodiscard]] const std::filesystem::path& path() const;
  /// Number of samples in a split; 0 when the split is absent.
  [[nodiscard]] std::int64_t size(Split split) const;
  /// The raw file of each sample, relative to the raw root.
  [[nodiscard]] std::vector<std::string> names(Split split) const;

  /// To be called before each part of a long read, a second's or less of one that goes well: a watch tells it from one
  /// that hangs.
  void set_on_part(std::function<void()> on_part);

  /// Samples [first, first + count) into `out`, which must have exactly that size.
  /// image: count x H x W x 3 RGB. \throws Error naming the data set and the samples when a checksum is wrong.
  void read_images(Split split, std::int64_t first, std::int64_t count, std::span<std::uint8_t> out) const;
  /// label: count x H x W, class id or kIgnoreLabel. \param label_set index into schema().label_sets
  void read_labels(Split split, std::size_t label_set, std::int64_t first, std::int64_t count,
                   std::span<std::uint8_t> out) const;
  /// depth as stored, count x H x W; for DepthType::uint16 packs only.
  void read_depth(Split split, std::int64_t first, std::int64_t count, std::span<std::uint16_t> out) const;
  /// depth as stored, count x H x W; for DepthType::float32 packs only.
  void read_depth(Split split, std::int64_t first, std::int64_t count, std::span<float> out) const;
  /// normals as stored, count x H x W x 3: kNormalScale times the unit vector, 0 0 0 = invalid. In the camera's axes: x
  /// right, y down, z into the scene; they point to the camera. \throws Error as read_images, and without normals.
  void read_normals(Split split, std::int64_t first, std::int64_t count, std::span<std::int16_t> out) const;

  /// Which samples of a split have the labels of a task, 1 or 0 for each; empty when all have. Those without have no
  /// labelled or valid pixel. \param task_key  one of label_keys(schema())
  /// \throws Error when the pack has no labels of that task at all, or when the flags are damaged.
  [[nodiscard]] std::vector<std::uint8_t> has_labels(Split split, std::string_view task_key) const;

  /// Whether the version, which the digest leaves out, is that of what the pack holds. \returns what is wrong; empty:
  /// nothing
  [[nodiscard]] std::string fault_of_version() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace xtasc::pack
