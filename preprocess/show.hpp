#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "pack/schema.hpp"

namespace xtasc::preprocess {

/// Samples that `show` draws when none are named, as far as the split has them.
inline constexpr std::int64_t kDefaultShownSamples = 4;

/// Draws samples of a pack as they will be trained on, one row each: image, every label set (ignored pixels black) and
/// depth (viridis, pixels without depth black), normals where the pack has them (figure::color_of_normal, pixels
/// without black), with legends and the depth's range; "none" in the place of labels that a sample lacks. An existing
/// picture is replaced.
///
/// \param samples  indices into the split; the first kDefaultShownSamples when empty.
/// \returns  the number of rows.
/// \throws Error  when the pack or a sample cannot be read or the picture cannot be written; exit code 2 for an index
/// that the split does not have, an output that is not called .png, or a pack with more than two label sets.
std::int64_t show_samples(const std::filesystem::path& pack, pack::Split split, std::vector<std::int64_t> samples,
                          const std::filesystem::path& output);

}  // namespace xtasc::preprocess
