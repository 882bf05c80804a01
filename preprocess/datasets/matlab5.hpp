#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace xtasc::preprocess {

/// Whole numbers low .. high from variable `name` (of struct `owner` when that is not empty) of a MATLAB 5 file, which
/// may be compressed; all else in the file is passed over. An own reader of that much: for damaged files, matio asks
/// for any amount of memory. Source: MathWorks, "MAT-File Format",
/// https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf \throws Error  naming the file and the variable:
/// missing, no numbers, out of range, or a damaged file.
[[nodiscard]] std::vector<std::size_t> read_indices(const std::filesystem::path& path, const std::string& owner,
                                                    const std::string& name, std::size_t low, std::size_t high);

}  // namespace xtasc::preprocess
