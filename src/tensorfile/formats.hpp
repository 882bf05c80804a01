#pragma once

#include <cstdint>
#include <string_view>

#include "tensorfile/tensor_file.hpp"
#include "tensorfile/unpickle.hpp"

namespace xtasc::tensorfile {

/// One reader for each format; `bytes` is the whole file. \throws Error, or c10::Error from the zip reader
[[nodiscard]] TensorFile read_torch_zip(std::string_view bytes);
[[nodiscard]] TensorFile read_torch_legacy(std::string_view bytes);
[[nodiscard]] TensorFile read_safetensors(std::string_view bytes);

/// Whether `bytes` starts as the older torch.save format: with the number 0x1950a86a20f9469cfc6c, pickled.
[[nodiscard]] bool is_torch_legacy(std::string_view bytes);

/// Whether `bytes` starts as a safetensors file: a length below the format's bound, then the "{" of its header.
[[nodiscard]] bool is_safetensors(std::string_view bytes);

/// The tensors of a pickled dictionary, or of the dictionary in it that usually holds them.
/// \param file_bytes  bounds the tensors' memory: a view can be far larger than its storage
/// \throws Error when there are none by name, or several dictionaries that could be meant
[[nodiscard]] TensorFile tensors_of(const Pickle& pickle, Format format, std::uint64_t file_bytes);

}  // namespace xtasc::tensorfile
