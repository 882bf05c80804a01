#pragma once

#include <hdf5.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace xtasc::pack {

/// Writes which samples of a split have the labels of a task: data set flags_name(key), uint8, one chunk, Fletcher-32.
/// \param group  the split's \param flags  a 0 or 1 for each sample
/// \throws Error with HDF5's reason
void write_flags(hid_t group, std::string_view key, std::span<const std::uint8_t> flags);

/// Reads them; empty when the split has no such data set: then every sample has the labels.
/// \param size  samples of the split \param place  names it in the error
/// \throws Error when the data set has another type or shape, is damaged, or holds another value than 0 and 1
[[nodiscard]] std::vector<std::uint8_t> read_flags(hid_t group, std::string_view key, std::size_t size,
                                                   std::string_view place);

}  // namespace xtasc::pack
