#include "io/file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

#include "io/atomic_file.hpp"
#include "io/checksum.hpp"
#include "io/hdf5/hdf5.hpp"
#include "io/image/image.hpp"
#include "io/npy.hpp"
#include "pack/pack_fixture.hpp"

namespace xtasc::io {
namespace {

namespace fs = std::filesystem;
using test::bytes_of;
using test::error_of;
using test::TempFolder;
using test::write_bytes;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// A socket that is bound to a path, as programs leave them in folders.
class Socket {
 public:
  explicit Socket(const fs::path& path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }

 private:
  Descriptor socket_;
};

/// None of these waits for a writer, as opening a pipe would.
TEST(File, WhatIsNoFileIsRefusedByItsKind) {
  const TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0666), 0);
  const Socket socket(folder / "socket");
  fs::create_directories(folder / "folder");
  fs::create_symlink("pipe", folder / "link");
  fs::create_symlink("gone", folder / "nowhere");
  const std::pair<const char*, const char*> kinds[] = {{"pipe", "it is a named pipe, "},
                                                       {"link", "it is a named pipe, "},
                                                       {"socket", "it is a socket, "},
                                                       {"folder", "it is a folder, "},
                                                       {"/dev/zero", "it is a device, "}};
  for (const auto& [name, words] : kinds) {
    const fs::path path = folder.path() / name;  // an absolute name stands alone
    const std::pair<std::string, std::string> errors[] = {
        {error_of([&] { std::ignore = read_file(path); }), "a file is expected"},
        {error_of([&] { std::ignore = read_text(path, "a list"); }), "a list is expected"},
        {error_of([&] { std::ignore = file_digest(path); }), "a file is expected"},
        {error_of([&] { std::ignore = read_image_header(path); }), "a PNG or JPEG image is expected"},
        {error_of([&] { std::ignore = read_rgb_image(path); }), "a PNG or JPEG image is expected"},
        {error_of([&] { std::ignore = read_npy_header(path); }), "a .npy file is expected"},
        {error_of([&] { std::ignore = read_npy_numbers(path); }), "a .npy file is expected"},
        {error_of([&] { std::ignore = open_hdf5(path); }), "an HDF5 file is expected"}};
    for (const auto& [error, wanted] : errors) {
      EXPECT_EQ(error, fmt::format("cannot read '{}': {}{}", path.string(), words, wanted));
    }
  }
  EXPECT_EQ(error_of([&] { std::ignore = read_file(folder / "nowhere"); }),
            fmt::format("cannot read '{}': it is a link that leads nowhere (gone)", (folder / "nowhere").string()));
  EXPECT_THAT(error_of([&] { std::ignore = read_file(folder / "none"); }),
              HasSubstr("none': No such file or directory"));
  fs::create_symlink("/dev/zero", folder / "endless");
  const Descriptor inside(::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(error_of([&] { std::ignore = read_file_at(inside.get(), "endless", "x/endless"); }),
            "cannot read 'x/endless': it is no file with bytes in it, a file is expected");
  ASSERT_EQ(::mkfifo((folder / "pipe of a moment").c_str(), 0600), 0);
  EXPECT_EQ(error_of([&] { std::ignore = read_file_at(inside.get(), "pipe of a moment", "x/pipe"); }),
            "cannot read 'x/pipe': it is a named pipe, a file is expected");
  fs::create_symlink("circle", folder / "circle");
  EXPECT_EQ(error_of([&] { std::ignore = read_file(folder / "circle"); }),
            fmt::format("cannot read '{}': it is one of links that lead in a circle", (folder / "circle").string()));
}

TEST(File, AHeadIsNoMoreThanThat) {
  const TempFolder folder;
  write_bytes(folder / "a", "abcdef");
  EXPECT_EQ(read_head(folder / "a", 3), "abc");
  EXPECT_EQ(read_head(folder / "a", 100), "abcdef");
  EXPECT_EQ(read_file(folder / "a"), "abcdef");
  EXPECT_THAT(read_file("/proc/self/status"), HasSubstr("VmRSS"));  // it reports no size
}

TEST(File, TextsAreUtf8AndTheMarkIsNoneOfThem) {
  const TempFolder folder;
  write_bytes(folder / "a.txt",
              "\xef\xbb\xbf"
              "0000\r\n0001\r\n");
  EXPECT_EQ(read_text(folder / "a.txt", "a list"), "0000\r\n0001\r\n");
  write_bytes(folder / "a.txt", std::string("\xff\xfe"
                                            "0\0\n\0",
                                            6));
  EXPECT_EQ(error_of([&] { std::ignore = read_text(folder / "a.txt", "a list"); }),
            fmt::format("'{}': it is UTF-16: save it as UTF-8", (folder / "a.txt").string()));
  write_bytes(folder / "a.txt", "0000\ncaf\xe9\n");
  EXPECT_THAT(error_of([&] { std::ignore = read_text(folder / "a.txt", "a list"); }),
              HasSubstr("its line 2 is not UTF-8 (\"caf\\xe9\"): save it as UTF-8"));
}

TEST(AtomicFile, IsWrittenWhereALinkLeads) {
  const TempFolder folder;
  fs::create_directories(folder / "scratch");
  write_bytes(folder / "scratch/a.txt", "old");
  fs::create_symlink("scratch/a.txt", folder / "a.txt");
  fs::create_symlink("a.txt", folder / "b.txt");
  fs::create_symlink(folder / "scratch/new.txt", folder / "c.txt");  // absolute, and nothing is there yet
  write_file_atomically(folder / "b.txt", "new");
  write_file_atomically(folder / "c.txt", "first");
  EXPECT_EQ(bytes_of(folder / "scratch/a.txt"), "new");
  EXPECT_EQ(bytes_of(folder / "scratch/new.txt"), "first");
  EXPECT_TRUE(fs::is_symlink(folder / "a.txt") && fs::is_symlink(folder / "b.txt") && fs::is_symlink(folder / "c.txt"));
  EXPECT_THAT(folder.entries(), ElementsAre("a.txt", "b.txt", "c.txt", "scratch"));

  fs::create_symlink("loop.txt", folder / "loop.txt");
  EXPECT_THAT(error_of([&] { write_file_atomically(folder / "loop.txt", "x"); }),
              HasSubstr("cannot write '" + (folder / "loop.txt").string() + "': Too many levels of symbolic links"));
  fs::create_symlink("none/a.txt", folder / "d.txt");
  EXPECT_THAT(error_of([&] { write_file_atomically(folder / "d.txt", "x"); }), HasSubstr("d.txt': No such file"));
}

TEST(AtomicFile, TakesTheplaceOfNoDeviceAndNoFolder) {
  const TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0666), 0);
  fs::create_directories(folder / "folder");
  for (const auto& [name, words] : {std::pair{"pipe", "it is a named pipe"}, std::pair{"folder", "it is a folder"}}) {
    EXPECT_EQ(error_of([&, file = folder / name] { write_file_atomically(file, "x"); }),
              fmt::format("cannot write '{}': {}, a file is expected", (folder / name).string(), words));
  }
  EXPECT_TRUE(fs::is_fifo(folder / "pipe"));
}

TEST(AtomicFile, WhereNothingCanBeWrittenIsToldBefore) {
  const TempFolder folder;
  EXPECT_NO_THROW(check_can_write(folder / "new"));
  EXPECT_THAT(error_of([&] { check_can_write(folder / "none" / "new"); }), HasSubstr("No such file or directory"));
  EXPECT_THAT(error_of([&] { check_can_write(folder.path()); }), HasSubstr("it is a folder, a file is expected"));
  // Standard output by its name: what a shell opened would be replaced behind it.
  EXPECT_THAT(error_of([&] { check_can_write("/proc/self/fd/0"); }), HasSubstr("what this program has open"));
}

TEST(AtomicFile, APackIsWrittenWhereALinkLeads) {
  const TempFolder folder;
  fs::create_directories(folder / "scratch");
  fs::create_symlink("scratch/p.h5", folder / "link.h5");
  test::write_small_pack(folder / "link.h5");  // nothing is replaced: --force is not needed
  EXPECT_TRUE(fs::is_symlink(folder / "link.h5"));
  EXPECT_TRUE(fs::is_regular_file(folder / "scratch/p.h5"));
  EXPECT_THAT(error_of([&] { test::write_small_pack(folder / "link.h5"); }), HasSubstr("link.h5' exists already"));
  test::write_small_pack(folder / "link.h5", /*overwrite=*/true);
  EXPECT_TRUE(fs::is_symlink(folder / "link.h5"));
  EXPECT_THAT(folder.entries(), ElementsAre("link.h5", "scratch"));
  EXPECT_THAT(error_of([&] { test::write_small_pack("/dev/null", true); }), HasSubstr("it is a device, a file is"));
}

TEST(Hdf5Reasons, NameWhatIsNoDamage) {
  const TempFolder folder;
  test::run_and_die([&] {  // as a notebook that has it open, or one that was killed
    const Hdf5Handle file = create_hdf5(folder / "open.h5", "open.h5");
    H5Fflush(file.get(), H5F_SCOPE_GLOBAL);
    ::_exit(0);
  });
  const std::string open = error_of([&] { std::ignore = open_hdf5(folder / "open.h5"); });
  EXPECT_THAT(open, HasSubstr("open.h5': it is open for writing in another program (close it there; after a crash, "
                              "`h5clear -s FILE` takes the mark off)"));
  EXPECT_THAT(open, Not(HasSubstr("damaged")));

  test::write_small_pack(folder / "new.h5");
  std::string bytes = bytes_of(folder / "new.h5");
  bytes[8] = 9;  // the superblock's version
  write_bytes(folder / "new.h5", bytes);
  const std::string newer = error_of([&] { std::ignore = open_hdf5(folder / "new.h5"); });
  EXPECT_THAT(newer, HasSubstr("new.h5': it was written by a newer HDF5 than ours, " + hdf5_library_version()));

  test::write_small_pack(folder / "cut.h5");
  fs::resize_file(folder / "cut.h5", 1000);
  EXPECT_THAT(error_of([&] { std::ignore = open_hdf5(folder / "cut.h5"); }),
              HasSubstr("cut.h5': truncated or damaged HDF5 file: "));
}

}  // namespace
}  // namespace xtasc::io
