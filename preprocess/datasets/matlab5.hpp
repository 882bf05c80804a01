#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>
#include <vector>

namespace xtasc::preprocess {

/// Whole numbers low .. high of the numeric array `name` in a MATLAB 5 file, which may be compressed: as much of the
/// format as splits.mat needs, up to a MiB a variable.
/// Source: MathWorks, "MAT-File Format", https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf
/// \throws Error  naming the file and the array: missing, no numbers, out of range, or a damaged file.
[[nodiscard]] std::vector<std::size_t> read_indices(const std::filesystem::path& path, std::string_view name,
                                                    std::size_t low, std::size_t high);

}  // namespace xtasc::preprocess
