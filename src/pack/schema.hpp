#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xtasc::pack {

/// What the stored depth means.
enum class DepthKind { metres, inverse_depth };
/// How depth is stored: uint16 with depth_scale, or float32 where uint16 would lose.
enum class DepthType { uint16, float32 };
enum class Split { train, val };

inline constexpr std::uint8_t kIgnoreLabel = 255;
inline constexpr std::string_view kFormat = "xtasc-pack";
/// Of the file's layout. Version 1 had texts of variable length, which HDF5 keeps in a heap without checksums.
inline constexpr int kVersion = 2;
/// Of packs with normals, or with samples that lack the labels of a task: only programs that know of both read them.
inline constexpr int kPartialVersion = 3;

/// Stored normals are int16: kNormalScale times the components of a unit vector, 0 0 0 = invalid.
inline constexpr int kNormalScale = 32767;

using Rgb = std::array<std::uint8_t, 3>;

/// One labelling of the same pixels: data set "label", or "label_7" and "label_19" where the raw data has both.
struct LabelSet {
  std::string name;
  std::vector<std::string> class_names;
  std::vector<Rgb> class_colors;  ///< as many as class_names
};

/// Everything about a pack but its samples: the root's attributes, defined here once for reader, writer and verifier.
struct Schema {
  std::string dataset;  ///< "nyuv2", "cityscapes", "scenes", or what dataset.toml says
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::vector<LabelSet> label_sets;  ///< the first one gives the root's num_classes and class_names
  DepthKind depth_kind = DepthKind::metres;
  DepthType depth_type = DepthType::float32;
  double depth_scale = 1.0;                                  ///< depth = depth_scale * stored; 0 = invalid
  double depth_max = 0.0;                                    ///< largest valid depth over both splits, after scaling
  std::array<double, 3> image_mean = {0.485, 0.456, 0.406};  ///< RGB in 0..1, for the network's normalisation
  std::array<double, 3> image_std = {0.229, 0.224, 0.225};
  std::string resize;  ///< "nearest, pixel centres" | "area" | "none"
  std::string tool_version;
  std::string created;  ///< ISO 8601, UTC; not part of the digest
  std::string source;   ///< where the raw data came from, in words
  /// Where the normals come from, in words: "exact", "from depth", "published". Empty, and no part of the digest, for
  /// packs without normals.
  std::string normals;
  /// What was done with pictures that EXIF turns: "apply" or "ignore". Empty, and no part of the digest, for packs of
  /// upright pictures, which most are.
  std::string orientation;
  std::string content_digest;  ///< XXH3-128 over names, attributes and samples, 32 hexadecimal digits
  /// Faults of the raw data for which samples were left out (data set /skipped), one line each; empty for most packs.
  std::vector<std::string> skipped;

  [[nodiscard]] std::int64_t num_classes() const {
    return static_cast<std::int64_t>(label_sets.front().class_names.size());
  }
  [[nodiscard]] bool has_normals() const { return !normals.empty(); }
};

[[nodiscard]] std::string_view split_name(Split split);          ///< "train" | "val"
[[nodiscard]] std::string_view depth_kind_name(DepthKind kind);  ///< "metres" | "inverse_depth"
/// \throws Error for any other name; `where` names the file in it.
[[nodiscard]] DepthKind depth_kind_from(std::string_view name, std::string_view where);
[[nodiscard]] std::string_view depth_type_name(DepthType type);  ///< "uint16" | "float32"

/// "label", "label_1" ... "label_254": what a label set may be called.
[[nodiscard]] std::vector<std::string> possible_label_set_names();

/// Index into schema.label_sets of the one that data.label_set = `name` means; empty: the first.
/// \throws Error (exit code 2) with the names that the pack has.
[[nodiscard]] std::size_t find_label_set(const Schema& schema, const std::string& name);

/// The data sets of a split, in the order in which they enter the digest: "image", the label sets, "depth", and
/// "normals" where there are any.
[[nodiscard]] std::vector<std::string> data_set_names(const Schema& schema);
/// Index of "depth" in data_set_names, and of "normals" where there are any.
[[nodiscard]] std::size_t depth_data_set(const Schema& schema);
[[nodiscard]] std::size_t normals_data_set(const Schema& schema);
/// Values of each pixel in a data set: 3 for images and normals, else 1.
[[nodiscard]] std::size_t num_channels(const Schema& schema, std::size_t data_set);
/// Bytes of one sample in data set `data_set` (an index into data_set_names).
[[nodiscard]] std::size_t sample_bytes(const Schema& schema, std::size_t data_set);

/// The keys of the tasks whose labels the pack's samples may have: "seg" (all label sets), "depth", and "normals" where
/// there are any.
[[nodiscard]] std::vector<std::string> label_keys(const Schema& schema);
/// "has_seg": the data set, uint8, one value a sample, that says which samples have the labels of a task. \param key
/// one of label_keys
[[nodiscard]] std::string flags_name(std::string_view key);

/// The attributes as texts that enter the digest; not `created` and the digest itself.
[[nodiscard]] std::string digest_text(const Schema& schema);

/// \throws Error unless names, sizes, classes, colours and scale make sense. \param where  names the pack in the error.
void check_schema(const Schema& schema, std::string_view where);

/// `count` colours that are easy to tell apart, for label sets that bring none: fixed, so that pictures stay
/// comparable.
[[nodiscard]] std::vector<Rgb> default_class_colors(std::size_t count);

/// \throws Error unless height and width are positive multiples of 32: the network halves its input five times and
/// joins the halves again.
void check_size(std::int64_t height, std::int64_t width);

/// Height and width of an option's text, "288x384".
/// \throws Error (exit code 2) naming `option` unless it is such a text and check_size() takes it
[[nodiscard]] std::pair<std::int64_t, std::int64_t> parse_size(std::string_view option, const std::string& text);

}  // namespace xtasc::pack
