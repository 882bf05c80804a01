#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "pack/schema.hpp"

namespace xtasc::pack {

/// One sample to be written, height x width as in the Schema.
struct Sample {
  std::string name;                                   ///< the raw file, relative to the raw root; unique in the pack
  std::span<const std::uint8_t> image;                ///< H x W x 3 RGB
  std::vector<std::span<const std::uint8_t>> labels;  ///< one H x W per label set: class id or kIgnoreLabel
  /// H x W as stored (depth = depth_scale * stored, 0 = invalid), of the Schema's depth_type.
  std::variant<std::span<const float>, std::span<const std::uint16_t>> depth;
  /// H x W x 3 as stored, see Reader::read_normals; empty when the Schema has none.
  std::span<const std::int16_t> normals{};
  /// Keys (of label_keys) of the tasks whose labels this sample lacks: its maps hold nothing but kIgnoreLabel or 0.
  std::vector<std::string> without{};
};

/// Writes a pack, one sample at a time, into a hidden temporary file beside `output`; finish() makes it durable and
/// gives it its name. A Writer that is destroyed before that removes its temporary file, and the next one on the same
/// output those of writers that were killed. Not thread safe; holds io::lock_hdf5() in every call.
class Writer {
 public:
  /// \param schema     depth_max, created, tool_version and content_digest are filled in here.
  /// \param overwrite  replace an existing file; without it such a file is an error.
  /// \throws Error  when the schema is not valid, the output exists or its folder cannot be written.
  Writer(std::filesystem::path output, Schema schema, bool overwrite);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// \throws Error  naming the sample: wrong size, label beyond the classes, depth NaN or negative, normals not of unit
  /// length, labels of a task that it is said to be without, name used before; or the system's reason when it cannot be
  /// written.
  void append(Split split, const Sample& sample);

  /// The largest valid depth so far, after scaling; 0 when there is none.
  [[nodiscard]] double depth_max() const;

  /// Completes the pack and renames it. \returns the schema as written, with digest and depth_max.
  /// \param skipped  what was left out and why, one line each: becomes Schema::skipped
  /// \param orientation  becomes Schema::orientation
  /// \throws Error  when nothing was appended or the file cannot be completed; then nothing is left behind.
  Schema finish(std::vector<std::string> skipped = {}, std::string orientation = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// \throws Error  when `output` exists and `overwrite` is off, is a folder, or its folder is missing: to be asked
/// before long work.
void check_output(const std::filesystem::path& output, bool overwrite);

}  // namespace xtasc::pack
