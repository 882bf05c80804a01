#include "io/hdf5/hdf5.hpp"

#include <gtest/gtest.h>

#include "pack/pack_fixture.hpp"

namespace xtasc::io {
namespace {

using test::error_of;
using test::TempFolder;
using testing::HasSubstr;

TEST(Hdf5Texts, ComeBackAsTheyWereWritten) {
  const TempFolder folder;
  std::vector<std::string> texts = {"", "a", "Zürich \xe2\x86\x92 9 bytes"};
  for (int i = 0; i < 400; ++i) {
    texts.push_back(fmt::format("leftImg8bit/train/aachen/aachen_{:06}_000019_leftImg8bit.png", i));
  }
  const std::string longest(100'000, 'x');  // more than an object header takes
  {
    const Hdf5Handle file = create_hdf5(folder / "a.h5", "a.h5");
    write_attribute(file.get(), "format", std::string_view("xtasc-pack"));
    write_attribute(file.get(), "empty", std::string_view());
    write_attribute(file.get(), "long", std::string_view(longest));
    write_attribute(file.get(), "names", std::vector<std::string>{"floor", "", "wall"});
    write_string_dataset(file.get(), "name", texts);
  }
  const Hdf5Handle file = open_hdf5(folder / "a.h5", Hdf5Metadata::checksummed);
  EXPECT_EQ(read_string_attribute(file.get(), "format", "file"), "xtasc-pack");
  EXPECT_EQ(read_string_attribute(file.get(), "empty", "file"), "");
  EXPECT_EQ(read_string_attribute(file.get(), "long", "file"), longest);
  EXPECT_EQ(read_strings_attribute(file.get(), "names", "file"), (std::vector<std::string>{"floor", "", "wall"}));
  EXPECT_EQ(read_string_dataset(file.get(), "name", "file"), texts);
}

TEST(Hdf5Texts, OfVariableLengthAreRefused) {
  const TempFolder folder;
  const Hdf5Handle file = create_hdf5(folder / "a.h5", "a.h5");
  const Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose), one(H5Screate(H5S_SCALAR), H5Sclose);
  H5Tset_size(type.get(), H5T_VARIABLE);
  const Hdf5Handle attribute(H5Acreate2(file.get(), "a", type.get(), one.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  const char* text = "text";
  ASSERT_GE(H5Awrite(attribute.get(), type.get(), &text), 0);
  EXPECT_EQ(error_of([&] { static_cast<void>(read_string_attribute(file.get(), "a", "file")); }),
            "file: attribute 'a' is text of variable length, text of a fixed length is expected");
}

}  // namespace
}  // namespace xtasc::io
