#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace xtasc::tensorfile {

/// Tensors by name, sorted by name.
using TensorDict = std::map<std::string, at::Tensor>;

/// The formats that are read, told apart by their first bytes and not by the file's name.
enum class Format {
  torch_zip,     ///< torch.save since PyTorch 1.6
  torch_legacy,  ///< torch.save before, and with _use_new_zipfile_serialization=False
  safetensors,
};
/// "torch.save (zip)", ...
[[nodiscard]] std::string_view format_name(Format format);

/// What a file of tensors holds.
struct TensorFile {
  Format format = Format::torch_zip;
  /// The key of the dictionary that holds the tensors ("state_dict", "model_state_dict" or "model"), or empty when they
  /// lie at the top level.
  std::string wrapper;
  /// Other dictionaries of weights beside it, "model_ema" or "ema.module": not read.
  std::vector<std::string> beside;
  TensorDict tensors;  ///< CPU tensors, contiguous, each with its own memory
  /// The type of each tensor of a safetensors file that is not read, such as "F8_E4M3".
  std::map<std::string, std::string> unread;
};

/// Reads a dictionary of tensors from any of the formats: a plain dict or an OrderedDict (every `state_dict()`),
/// tensors or parameters, any strides, storages shared or not. Runs no code from the file: anything but tensors and
/// plain values is refused. Values that are not tensors are left out. Numbers of a type that is not supported (complex,
/// quantised, 8-bit floating-point, unsigned of more than 8 bits) are not read: in a dictionary of torch.save's such a
/// tensor is an error, elsewhere in the file it is passed over, and in safetensors it is left out, with a warning.
/// Every offset, size and type is checked against the file's length; a damaged file is an error, or, where the format
/// has no checksum, other numbers, never a crash.
///
/// Our own reader because `torch::pickle_load` returns None for an OrderedDict without an error (pytorch issue 100741),
/// and opens the zip format alone.
///
/// \throws Error of one line naming the file and what is wrong with it.
[[nodiscard]] TensorFile read_tensor_file(const std::filesystem::path& path);
/// As above, from a file's bytes. \throws Error of one line that does not name the file
[[nodiscard]] TensorFile tensor_file_of(std::string_view bytes);
/// The tensors of read_tensor_file.
[[nodiscard]] TensorDict read_tensor_dict(const std::filesystem::path& path);

/// The bytes of a file that Python's `torch.load(..., weights_only=True)` opens as a dict of tensors.
/// \param tensors  on any device; written as contiguous CPU tensors of the same dtype
[[nodiscard]] std::string tensor_dict_bytes(const TensorDict& tensors);

/// tensor_dict_bytes into a file, atomically. \throws Error with the path and the system's reason.
void write_tensor_dict(const std::filesystem::path& path, const TensorDict& tensors);

}  // namespace xtasc::tensorfile
