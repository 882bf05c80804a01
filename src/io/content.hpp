#pragma once

#include <string>
#include <string_view>

// What a file is, by its first bytes: for the errors of those that were given another.
namespace xtasc::io {

/// The file's content in few words: "a Git LFS pointer, run `git lfs pull`", "a WebP picture", "text", "empty", ...
[[nodiscard]] std::string describe_content(std::string_view first_bytes);

/// The format of a picture that is neither PNG nor JPEG: "WebP"; empty where it is none that is known.
[[nodiscard]] std::string_view picture_format(std::string_view first_bytes);

/// Whether a zip archive begins so whose first member is a .npy. Source: PKWARE's APPNOTE.TXT, 4.3.7.
[[nodiscard]] bool is_npz(std::string_view first_bytes);

}  // namespace xtasc::io
