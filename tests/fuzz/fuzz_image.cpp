#include "guard.hpp"
#include "io/image/image.hpp"

using namespace xtasc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file({data, size});
  io::Selection middle;
  fuzz::expect_value_or_error([&] {
    const io::ImageHeader header = io::read_image_header(file.path());
    middle = {{header.height / 2}, {header.width / 2}};
  });
  for (const auto orientation : {io::Orientation::refuse, io::Orientation::apply, io::Orientation::ignore}) {
    fuzz::expect_value_or_error([&] {
      io::ImageRules rules;
      rules.orientation = orientation;
      fuzz::look_at_all(io::read_rgb_image(file.path(), rules).pixels);
    });
  }
  fuzz::expect_value_or_error([&] { fuzz::look_at_all(io::read_grey8_image(file.path()).pixels); });
  fuzz::expect_value_or_error([&] { fuzz::look_at_all(io::read_grey8_image(file.path(), {}, middle).pixels); });
  fuzz::expect_value_or_error([&] { fuzz::look_at_all(io::read_grey16_image(file.path()).pixels); });
  return 0;
}
