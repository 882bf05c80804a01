#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "io/npy.hpp"
#include "preprocess/normals.hpp"
#include "preprocess/resize.hpp"

namespace xtasc::preprocess {

/// What one of MTAN's .npy files holds.
enum class MtanPart { image, label, depth, normals };

/// Height and width of an array: (height, width, 3) of an image or of normals, (height, width) or (height, width, 1) of
/// a plane. \param where  names the file in the error
/// \throws Error  when the shape is another, or the type is none that can mean this.
[[nodiscard]] Size check_array(const io::NpyHeader& header, MtanPart part, const std::string& where);

/// \param reference  names the file whose size is expected \throws Error  when the sizes differ
void check_array_size(Size found, Size expected, const std::string& where, const std::string& reference);

/// "row 3, column 17"
[[nodiscard]] std::string pixel_text(std::size_t pixel, const io::NpyHeader& header);

/// Normals as packs store them, of a (height, width, 3) array of unit vectors; 0 0 0 is invalid.
/// \throws Error  naming the first pixel whose vector has neither length 0 nor 1 (within 1e-2), or is no number
[[nodiscard]] std::vector<std::int16_t> normals_of(const io::NpyNumbers& file, const AxisSigns& signs,
                                                   const std::string& where);

}  // namespace xtasc::preprocess
