#include <gtest/gtest.h>
#include <sys/mount.h>

#include <cmath>
#include <csignal>
#include <set>

#include "io/hdf5/hdf5.hpp"
#include "io/hdf5_fixture.hpp"
#include "pack/pack_fixture.hpp"
#include "pack/reader.hpp"
#include "pack/verify.hpp"
#include "pack/writer.hpp"

namespace xtasc::pack {
namespace {

using test::bytes_of;
using test::error_of;
using test::small_schema;
using test::SmallSample;
using test::TempFolder;
using test::write_bytes;
using test::write_small_pack;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(Writer, RefusesWhatIsWrongAndNamesTheSample) {
  const TempFolder folder;
  Writer writer(folder / "a.h5", small_schema(), false);
  const SmallSample good(1);
  writer.append(Split::train, good.view());
  EXPECT_THAT(error_of([&] { writer.append(Split::val, good.view()); }),
              HasSubstr("val sample 'raw/1.png': this name is in the pack already"));
  SmallSample bad(2);
  bad.label[65] = 3;
  EXPECT_THAT(error_of([&] { writer.append(Split::train, bad.view()); }),
              HasSubstr("train sample 'raw/2.png': label 3 at row 1, column 1; 0 to 2 and 255 (ignored) are possible"));
  bad = SmallSample(2);
  bad.depth[3] = std::nanf("");
  EXPECT_THAT(error_of([&] { writer.append(Split::train, bad.view()); }), HasSubstr("depth nan at row 0, column 3"));
  bad = SmallSample(2);
  bad.depth[3] = -1.0F;
  EXPECT_THAT(error_of([&] { writer.append(Split::train, bad.view()); }), HasSubstr("depth -1 at row 0, column 3"));
  const SmallSample small(2, 100);
  EXPECT_THAT(error_of([&] { writer.append(Split::train, small.view()); }),
              HasSubstr("the image has 300 values, 6144 are expected"));
  writer.append(Split::val, SmallSample(3).view());
  writer.finish();
  EXPECT_THAT(verify(folder / "a.h5").faults, IsEmpty());
}

TEST(Writer, RefusesExistingOutputAndWrongSchema) {
  const TempFolder folder;
  write_bytes(folder / "a.h5", "precious");
  EXPECT_THAT(error_of([&] { write_small_pack(folder / "a.h5"); }), HasSubstr("a.h5' exists already"));
  EXPECT_EQ(bytes_of(folder / "a.h5"), "precious");
  write_small_pack(folder / "a.h5", true);
  EXPECT_THAT(verify(folder / "a.h5").faults, IsEmpty());
  EXPECT_THAT(error_of([&] { write_small_pack(folder / "none/a.h5"); }), HasSubstr("there is no folder"));
  EXPECT_THAT(error_of([&] { write_small_pack(folder.path(), true); }), HasSubstr("it is a folder"));
  Schema schema = small_schema();
  schema.height = 33;
  EXPECT_THAT(error_of([&] { Writer(folder / "b.h5", schema, false); }), HasSubstr("must be multiples of 32"));
  schema = small_schema();
  schema.label_sets[0].class_colors.pop_back();
  EXPECT_THAT(error_of([&] { Writer(folder / "b.h5", schema, false); }), HasSubstr("3 classes but 2 colours"));
  EXPECT_THAT(error_of([&] { Writer(folder / "b.h5", small_schema(), false).finish(); }),
              HasSubstr("there are no samples"));
  EXPECT_THAT(folder.entries(), ElementsAre("a.h5"));
}

TEST(Writer, UnfinishedLeavesNothingAndKilledIsCleanedUp) {
  const TempFolder folder;
  {
    Writer writer(folder / "a.h5", small_schema(), false);
    writer.append(Split::train, SmallSample(1).view());
    EXPECT_THAT(folder.entries(), ElementsAre(StartsWith(".a.h5.partial-")));
  }
  EXPECT_THAT(folder.entries(), IsEmpty());
  test::run_and_die([&] {
    Writer writer(folder / "a.h5", small_schema(), false);
    writer.append(Split::train, SmallSample(1).view());
    ::raise(SIGKILL);
  });
  EXPECT_THAT(folder.entries(), ElementsAre(StartsWith(".a.h5.partial-")));
  write_small_pack(folder / "a.h5");
  EXPECT_THAT(folder.entries(), ElementsAre("a.h5"));
}

TEST(Writer, FullDiskIsAnErrorThatLeavesNothing) {
  const TempFolder folder;
  for (const rlim_t limit_bytes : {0, 1000, 5000, 20'000, 60'000, 71'000}) {
    {
      const test::FileSizeLimit limit(limit_bytes);
      testing::internal::CaptureStderr();
      EXPECT_THAT(error_of([&] { write_small_pack(folder / "a.h5"); }), HasSubstr("a.h5': File too large"))
          << limit_bytes;
      EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
    }
    EXPECT_THAT(folder.entries(), IsEmpty()) << limit_bytes;
  }
  write_small_pack(folder / "a.h5");
  EXPECT_THAT(verify(folder / "a.h5").faults, IsEmpty());
}

TEST(Writer, NoSpaceLeftOnARealFileSystem) {
  const TempFolder folder;
  if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=32k") != 0) {
    GTEST_SKIP() << "mounting a small tmpfs needs root: " << errno_text(errno);
  }
  const std::string error = error_of([&] { write_small_pack(folder / "a.h5"); });
  const auto entries = folder.entries();
  ::umount(folder.path().c_str());
  EXPECT_THAT(error, HasSubstr("a.h5': No space left on device"));
  EXPECT_THAT(entries, IsEmpty());
}

TEST(Writer, SameContentGivesTheSameBytes) {
  const TempFolder folder;
  ::setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
  write_small_pack(folder / "a.h5");
  write_small_pack(folder / "b.h5");
  EXPECT_EQ(Reader(folder / "a.h5").schema().created, "2023-11-14T22:13:20Z");
  ::setenv("SOURCE_DATE_EPOCH", "1700000001", 1);
  const Schema later = write_small_pack(folder / "c.h5");
  ::unsetenv("SOURCE_DATE_EPOCH");
  EXPECT_TRUE(bytes_of(folder / "a.h5") == bytes_of(folder / "b.h5"));
  EXPECT_FALSE(bytes_of(folder / "a.h5") == bytes_of(folder / "c.h5"));
  EXPECT_EQ(Reader(folder / "a.h5").schema().content_digest, later.content_digest);
}

TEST(Schema, SizeMustBeMultiplesOf32) {
  EXPECT_NO_THROW(check_size(96, 128));
  EXPECT_THAT(error_of([] { check_size(100, 128); }),
              HasSubstr("100x128 (height x width): both must be multiples of 32"));
  EXPECT_THAT(error_of([] { check_size(100, 128); }), HasSubstr("96x128 would do"));
  EXPECT_THROW(check_size(0, 32), Error);
  EXPECT_THROW(check_size(-32, 32), Error);
}

TEST(Schema, SizesOfOptions) {
  EXPECT_EQ(parse_size("--size", "96x128"), std::pair(std::int64_t{96}, std::int64_t{128}));
  for (const char* text : {"", "96", "96x", "96x128x3", "96 x 128", "x128", "-96x128", "96x128.0", "99999999999x32"}) {
    try {
      static_cast<void>(parse_size("--size", text));
      ADD_FAILURE() << "accepted " << text;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), StartsWith("--size")) << text;
      EXPECT_EQ(error.code(), ExitCode::usage) << text;
    }
  }
  EXPECT_THAT(error_of([] { static_cast<void>(parse_size("--sizes", "100x128")); }), HasSubstr("96x128 would do"));
}

TEST(Schema, UnknownLabelSetNamesTheKnown) {
  Schema schema;
  schema.label_sets = {{.name = "label_7", .class_names = {"a"}, .class_colors = {}},
                       {.name = "label_19", .class_names = {"a"}, .class_colors = {}}};
  EXPECT_EQ(find_label_set(schema, ""), 0U);
  EXPECT_EQ(find_label_set(schema, "label_19"), 1U);
  try {
    static_cast<void>(find_label_set(schema, "label"));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "data.label_set = \"label\": the pack has label_7, label_19");
    EXPECT_EQ(error.code(), ExitCode::usage);
  }
}

TEST(Palette, FortyDistinctColorsNoneOfThemThatOfIgnoredPixels) {
  const std::vector<Rgb> colors = default_class_colors(40);
  std::set<Rgb> distinct(colors.begin(), colors.end());
  distinct.insert({Rgb{128, 128, 128}, Rgb{0, 0, 0}});
  EXPECT_EQ(distinct.size(), 42U);
}

}  // namespace
}  // namespace xtasc::pack
