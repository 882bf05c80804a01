#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "figure/panel.hpp"
#include "launch/common/model_source.hpp"

namespace xtasc::launch {

/// How an image is brought to the size that the net was trained at.
enum class ImageResize {
  nearest,  ///< the pixel at the centre: as xtasc-preprocess does unless it is told otherwise
  area,     ///< the mean over the area: its --image-filter area
  smooth,   ///< bilinear, over a wider area where the image gets smaller: where the pack's images were not resized
};

/// What the pictures and the normalisation need to know about the data that the net was trained on.
struct DataFacts {
  std::vector<std::string> class_names;
  std::vector<figure::Rgb> class_colors;
  std::string depth_unit = "m";
  std::int64_t height = 0, width = 0;
  std::string orientation;  ///< of pictures that EXIF turns, as pack::Schema has it
  ImageResize resize = ImageResize::smooth;
  bool is_resize_known = false;  ///< false: nobody recorded how the training images were resized
  std::array<double, 3> mean = {0.485, 0.456, 0.406}, deviation = {0.229, 0.224, 0.225};
};

/// What a user says instead; empty: nothing.
struct FactsWanted {
  std::string pack, size, orientation, resize;
};

/// From the given pack, else from the pack of the run's config if it is still there and the same, else from the run's
/// provenance, with classes by number.
/// \throws Error  when the pack has other classes than the net; (exit code 2) when nobody knows the net's size
[[nodiscard]] DataFacts find_facts(const FactsWanted& wanted, const ModelSource& source, const LoadedModel& model);

/// "nearest", "area" or "smooth".
[[nodiscard]] std::string_view name_of(ImageResize resize);

}  // namespace xtasc::launch
