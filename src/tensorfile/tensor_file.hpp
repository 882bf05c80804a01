#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace xtasc::tensorfile {

/// Tensors by name, sorted by name.
using TensorDict = std::map<std::string, at::Tensor>;

/// Reads a dictionary of tensors that Python's `torch.save` wrote (zip format): a plain dict or an OrderedDict (every
/// `state_dict()`), tensors or parameters, any strides. Runs no code from the file: anything but tensors and plain
/// values is refused. Values that are not tensors are left out.
///
/// Our own reader because `torch::pickle_load` returns None for an OrderedDict without an error (pytorch issue 100741).
///
/// \returns CPU tensors, each with its own memory.
/// \throws Error naming the file and what is wrong with it.
[[nodiscard]] TensorDict read_tensor_dict(const std::filesystem::path& path);

/// The bytes of a file that Python's `torch.load(..., weights_only=True)` opens as a dict of tensors.
/// \param tensors  on any device; written as contiguous CPU tensors of the same dtype
[[nodiscard]] std::string tensor_dict_bytes(const TensorDict& tensors);

/// tensor_dict_bytes into a file, atomically. \throws Error with the path and the system's reason.
void write_tensor_dict(const std::filesystem::path& path, const TensorDict& tensors);

}  // namespace xtasc::tensorfile
