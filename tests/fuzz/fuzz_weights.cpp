#include <ATen/core/Tensor.h>

#include "guard.hpp"
#include "tensorfile/tensor_file.hpp"

using namespace xtasc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  fuzz::expect_value_or_error([&] {
    for (const auto& [name, tensor] : tensorfile::tensor_file_of(bytes).tensors) {
      fuzz::look_at_all(name);
      fuzz::look_at({static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()});
    }
  });
  return 0;
}
