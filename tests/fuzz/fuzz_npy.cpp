#include "guard.hpp"
#include "io/npy.hpp"

using namespace xtasc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file({data, size});
  fuzz::expect_value_or_error([&] { fuzz::look_at_all(io::read_npy_header(file.path()).shape); });
  fuzz::expect_value_or_error([&] {
    const auto numbers = io::read_npy_numbers(file.path());
    fuzz::look_at_all(numbers.header.shape);
    fuzz::look_at_all(numbers.values);
  });
  return 0;
}
