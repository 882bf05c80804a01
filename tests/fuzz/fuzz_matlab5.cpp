#include "guard.hpp"
#include "preprocess/datasets/matlab5.hpp"

using namespace xtasc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file({data, size});
  fuzz::expect_value_or_error([&] { fuzz::look_at_all(preprocess::read_indices(file.path(), "trainNdxs", 1, 1449)); });
  return 0;
}
