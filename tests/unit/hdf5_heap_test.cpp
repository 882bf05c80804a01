#include "io/hdf5_heap.hpp"

#include <gtest/gtest.h>

#include "io/atomic_file.hpp"
#include "io/hdf5.hpp"
#include "pack_fixture.hpp"

namespace xtasc::io {
namespace {

using test::error_of;
using test::TempFolder;
using testing::HasSubstr;

/// One text, a list of them and a data set of more texts than one collection of the heap holds.
std::vector<std::string> many_texts() {
  std::vector<std::string> texts = {"", "a", "Zürich \xe2\x86\x92 9 bytes"};
  for (int i = 0; i < 400; ++i) {
    texts.push_back(fmt::format("leftImg8bit/train/aachen/aachen_{:06}_000019_leftImg8bit.png", i));
  }
  texts.push_back(std::string(100'000, 'x'));
  return texts;
}

void write_texts(const std::filesystem::path& path) {
  const Hdf5Handle file = create_hdf5(path, path.string());
  write_attribute(file.get(), "format", std::string_view("xtasc-pack"));
  write_attribute(file.get(), "names", std::vector<std::string>{"floor", "", "wall"});
  write_string_dataset(file.get(), "name", many_texts());
}

std::string read_all(const std::filesystem::path& path) {
  const Hdf5Handle file = open_hdf5(path, Hdf5Metadata::checksummed);
  std::string all = read_string_attribute(file.get(), "format", "file");
  for (const std::string& text : read_strings_attribute(file.get(), "names", "file")) {
    all += "|" + text;
  }
  for (const std::string& text : read_string_dataset(file.get(), "name", "file")) {
    all += "|" + text;
  }
  return all;
}

TEST(Hdf5TextHeap, GivesBackEveryText) {
  const TempFolder folder;
  write_texts(folder / "a.h5");
  const Hdf5Handle file = open_hdf5(folder / "a.h5");
  EXPECT_EQ(read_string_attribute(file.get(), "format", "file"), "xtasc-pack");
  EXPECT_EQ(read_strings_attribute(file.get(), "names", "file"), (std::vector<std::string>{"floor", "", "wall"}));
  EXPECT_EQ(read_string_dataset(file.get(), "name", "file"), many_texts());
}

// HDF5's own reader, given such files, writes beyond its buffers or never returns.
TEST(Hdf5TextHeap, DamageIsAnErrorOrAnotherText) {
  const TempFolder folder;
  write_texts(folder / "a.h5");
  const std::string whole = read_file(folder / "a.h5");
  const std::string expected = read_all(folder / "a.h5");
  const std::size_t heap = whole.find(std::string("GCOL\x01\0\0\0", 8));
  ASSERT_NE(heap, std::string::npos);
  int refused = 0, changed = 0;
  for (std::size_t at = heap; at < heap + 160; ++at) {
    for (const char value : {'\0', '\x01', '\x7f', '\xff'}) {
      std::string damaged = whole;
      damaged[at] = value;
      test::write_bytes(folder / "b.h5", damaged);
      try {
        changed += read_all(folder / "b.h5") != expected ? 1 : 0;
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("cannot be read: ")) << at;
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 50);
  EXPECT_GT(changed, 10);  // a letter: found by the content digest
}

TEST(Hdf5TextHeap, SaysWhatIsDamaged) {
  const TempFolder folder;
  write_texts(folder / "a.h5");
  std::string bytes = read_file(folder / "a.h5");
  const std::size_t heap = bytes.find(std::string("GCOL\x01\0\0\0", 8));
  bytes[heap + 24] = 9;  // the first object's length: "xtasc-pack" has 10 bytes
  test::write_bytes(folder / "b.h5", bytes);
  EXPECT_EQ(error_of([&] { read_all(folder / "b.h5"); }),
            "file: attribute 'format' cannot be read: the file's heap of texts is damaged");
}

}  // namespace
}  // namespace xtasc::io
