#include <hdf5.h>

#include <cstdlib>

#include "guard.hpp"
#include "pack/verify.hpp"

using namespace xtasc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file({data, size});
  fuzz::expect_value_or_error([&] {
    const pack::Report report = pack::verify(file.path());
    for (const auto& counts : report.label_pixels) {
      fuzz::look_at_all(counts);
    }
    for (const std::string& fault : report.faults) {
      fuzz::look_at_all(fault);
    }
  });
  if (H5Fget_obj_count(static_cast<hid_t>(H5F_OBJ_ALL), H5F_OBJ_ALL) > 0) {
    std::abort();  // something is still open
  }
  return 0;
}
