#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "pack/schema.hpp"
#include "preprocess/resize.hpp"

namespace xtasc::preprocess {

/// One decoded sample.
struct RawSample {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::vector<std::uint8_t> image;                ///< height x width x 3 RGB
  std::vector<std::vector<std::uint8_t>> labels;  ///< one height x width per label set: class id or pack::kIgnoreLabel
  /// height x width as it will be stored (depth = depth_scale * stored, 0 = invalid), of the schema's depth_type
  std::variant<std::vector<float>, std::vector<std::uint16_t>> depth;
  std::vector<std::int16_t> normals;  ///< height x width x 3 as stored; empty where the schema has none
  std::vector<std::string> without;   ///< the tasks whose labels it lacks, see pack::Sample::without
  /// What was done with a file that EXIF turns: "apply" or "ignore"; empty when the sample has none.
  std::string orientation;
  std::string remark;  ///< "FILE: what is odd about it and harmless to its pixels"; empty: nothing
};

/// Gives a sample that lacks the labels of a task maps of its height and width that hold none, and says so in it.
/// \param key  "seg", "depth" or "normals" \param schema  of the pack
void leave_out(RawSample& sample, std::string_view key, const pack::Schema& schema);

/// Keeps what is odd about one of a sample's files. \param remark  empty: nothing \param file  relative to the root
void note_remark(const std::string& remark, const std::string& file, RawSample& sample);

/// Makes a sample that was decoded whole as `resize` wants it.
void resize_sample(RawSample& sample, const Resize& resize);

/// One layout of raw data: lists its samples, checks them before any work, decodes them.
class RawDataset {
 public:
  RawDataset() = default;
  virtual ~RawDataset() = default;
  RawDataset(const RawDataset&) = delete;
  RawDataset& operator=(const RawDataset&) = delete;

  /// What the pack will say: dataset, classes, depth, source, and the size where the user asks for none.
  [[nodiscard]] virtual const pack::Schema& schema() const = 0;
  /// The samples of a split in pack order, by the name that they will have there.
  [[nodiscard]] virtual const std::vector<std::string>& names(pack::Split split) const = 0;
  /// What is wrong with the lists and folders themselves, one line each: a file that belongs to no sample, a name that
  /// is there twice. No sample of names() depends on it.
  [[nodiscard]] virtual std::vector<std::string> list_faults() const { return {}; }
  /// Looks at the presence, header, size and bit depth of a sample's files without decoding them. Safe to call from
  /// many threads. \returns one line per fault: the file, what was found, what is expected.
  [[nodiscard]] virtual std::vector<std::string> check_files(pack::Split split, std::size_t index) const = 0;
  /// Decodes a sample and checks every pixel of its labels, depth and normals, also of those that resizing leaves out.
  /// Safe to call from many threads. \throws Error  naming the file and what is wrong with it.
  [[nodiscard]] virtual RawSample decode(pack::Split split, std::size_t index, const Resize& resize) const = 0;
  /// What is wrong with the depth of the whole set, whose largest value is `largest` as the pack means it: a set in
  /// another unit. Nothing where that cannot be told.
  [[nodiscard]] virtual std::optional<std::string> depth_fault(double /*largest*/) const { return std::nullopt; }
};

}  // namespace xtasc::preprocess
