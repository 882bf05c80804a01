#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/program_watch.hpp"
#include "launch/common/model_source.hpp"
#include "launch/predict/facts.hpp"
#include "launch/predict/kinds.hpp"
#include "launch/predict/pictures.hpp"

namespace xtasc::launch {

/// An image on its way into the net.
struct Input {
  at::Tensor image_13hw;               ///< (1, 3, H, W) float32 at the net's size, normalised
  std::vector<std::uint8_t> rgb;       ///< H x W x 3, as the panel shows it; empty where it need not be shown
  MapByTask truth;                     ///< at the net's size; where there is one, and it is to be shown
  std::int64_t height = 0, width = 0;  ///< its own, in which results are wanted
  bool is_turned = false;              ///< EXIF says that the stored pixels are not upright
  bool is_resized = false;
  std::string remark{};  ///< what is odd about the file and harmless to its pixels; empty: nothing
};

/// Where images come from.
class Source {
 public:
  virtual ~Source() = default;

  [[nodiscard]] virtual std::size_t size() const = 0;
  /// As messages and the panel name it.
  [[nodiscard]] virtual std::string title(std::size_t i) const = 0;
  /// Of the result files: their name in the output folder is this, a task's name_ending() and an ending.
  [[nodiscard]] virtual std::filesystem::path name(std::size_t i) const = 0;
  /// Reads an image; from several threads at once. \throws Error  naming the file that is damaged
  [[nodiscard]] virtual Input read(std::size_t i, bool is_shown) const = 0;
};

/// Files, each resized as facts.resize says.
[[nodiscard]] std::unique_ptr<Source> source_of_files(std::vector<Picture> pictures, const DataFacts& facts);

/// What is predicted of a pack.
struct SamplesWanted {
  std::string pack, split;
  std::vector<std::int64_t> samples;  ///< empty: all
};

/// Samples of a pack with their truths. Reads the split. \throws Error  (exit code 2) when a sample is not there
[[nodiscard]] std::unique_ptr<Source> source_of_samples(const SamplesWanted& wanted, const LoadedModel& model,
                                                        const DataFacts& facts, ProgramWatch& watch);

}  // namespace xtasc::launch
