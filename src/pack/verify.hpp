#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "pack/schema.hpp"

namespace xtasc::pack {

/// What verify() and describe() found.
struct Report {
  Schema schema;
  std::int64_t train_size = 0;
  std::int64_t val_size = 0;
  std::vector<std::string> faults;  ///< one line each: data set, sample, name, what is wrong; empty for a good pack
  /// What is as it was packed, but can teach a net nothing: a split without a label, or without a valid depth or
  /// normal.
  std::vector<std::string> notes;
  /// Pixels of each class of each label set over both splits; the last entry counts the ignored ones.
  std::vector<std::vector<std::int64_t>> label_pixels;
  double depth_min = 0.0;  ///< smallest valid depth, after scaling; 0 when no pixel is valid
  double depth_max = 0.0;  ///< largest
  std::int64_t valid_depth_pixels = 0;
  std::int64_t valid_normal_pixels = 0;
  /// Samples of both splits that have the labels of a task, by its key; only of tasks whose labels some sample lacks.
  std::map<std::string, std::int64_t> labelled_samples;
  std::int64_t pixels = 0;  ///< height x width x samples
};

/// "the val split has no pixel with a class in label_19", for Report::notes and for who packs.
[[nodiscard]] std::string no_labels_note(Split split, const std::string& label_set);
/// "the val split has no pixel with a valid depth"
[[nodiscard]] std::string no_depth_note(Split split);
/// "the val split has no pixel with a valid normal"
[[nodiscard]] std::string no_normals_note(Split split);

/// Reads every byte of a pack: checksums of every sample, label and depth ranges, lengths of normals, which
/// samples have labels, names, content digest.
/// \param progress  called after each sample with (done, total); may be empty.
/// \throws Error  when the pack cannot be opened at all; what is wrong inside is listed in the report.
[[nodiscard]] Report verify(const std::filesystem::path& path,
                            const std::function<void(std::int64_t, std::int64_t)>& progress = {});

}  // namespace xtasc::pack
