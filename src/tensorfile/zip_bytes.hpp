#pragma once

#include <cstddef>
#include <functional>
#include <new>
#include <string>
#include <utility>

namespace xtasc::tensorfile {

/// Takes what torch's writer of zip files (caffe2::serialize::PyTorchStreamWriter) gives, and how much that was.
using ZipSink = std::function<std::size_t(const void* data, std::size_t size)>;

/// What is written to a sink that takes everything. Torch's writer ends its file in its destructor, where an exception
/// or a sink that takes less would end the process: so memory that there is not is told behind it.
/// \param expected  about how many bytes, asked for at once \throws std::bad_alloc
template <typename Write>
[[nodiscard]] std::string zip_bytes(std::size_t expected, const Write& write) {
  std::string bytes;
  bytes.reserve(expected);
  bool is_lost = false;
  write(ZipSink([&](const void* data, std::size_t size) {
    try {
      bytes.append(static_cast<const char*>(data), is_lost ? 0 : size);
    } catch (const std::bad_alloc&) {
      is_lost = true;
    }
    return size;
  }));
  if (is_lost) {
    throw std::bad_alloc();
  }
  return bytes;
}

}  // namespace xtasc::tensorfile
