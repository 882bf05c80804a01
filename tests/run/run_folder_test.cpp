#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "core/error.hpp"
#include "report/results_fixture.hpp"
#include "run/metrics_log.hpp"
#include "run/provenance.hpp"
#include "run/run_folder.hpp"

namespace xtasc::run {

namespace {

namespace fs = std::filesystem;
using test::TempFolder;
using test::write_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string error_text(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "one line: " << error.what();
    return error.what();
  }
  return "no error";
}

TEST(ProvenanceFile, ReadsBackAsWritten) {
  const TempFolder folder;
  const fs::path path = folder.path() / "provenance.json";
  Provenance written;
  written.version = "0.1.0";
  written.commit = "1a2b3c";
  written.libraries = {{"torch", "2.11.0"}, {"mpi", "Open MPI 4.1.4"}};
  written.hosts = {"node1", "node2"};
  written.devices = {"cpu (\"quoted\", 1 thread)", "cuda:0"};
  written.world_size = 2;
  written.precision = "bf16";
  written.pack_path = "data/\xff.h5";  // a file name need not be UTF-8, JSON must be
  written.pack_digest = "00ff";
  written.pack_height = 96;
  written.pack_depth_kind = "metres";
  written.pack_orientation = "ignore";
  written.pack_resize = "area";
  written.command_line = {"xtasc-train", "--set", "train.epochs=3"};
  written.started = "2026-01-31T12:34:56Z";
  written.resumed = {"2026-02-01T00:00:00Z"};
  written.num_parameters = 21445184;
  written.pack_bytes = 5;
  written.pack_modified = 1'700'000'000'123'456'789;
  written.starts = {start_of(written), start_of(written)};
  written.starts[1].time = "2026-02-01T00:00:00Z";
  written.starts[1].epoch = 3;
  written.starts[1].world_size = 1;
  written.starts[1].commit = "4d5e6f";
  write_provenance(path, written);
  const Provenance read = read_provenance(path);
  EXPECT_EQ(read.version, written.version);
  EXPECT_EQ(read.libraries, written.libraries);
  EXPECT_EQ(read.hosts, written.hosts);
  EXPECT_EQ(read.devices, written.devices);
  EXPECT_EQ(read.world_size, 2);
  EXPECT_EQ(read.pack_path, "data/\xef\xbf\xbd.h5");
  EXPECT_EQ(read.pack_height, 96);
  EXPECT_EQ(read.pack_depth_kind, "metres");
  EXPECT_EQ(read.pack_orientation, "ignore");
  EXPECT_EQ(read.pack_resize, "area");
  EXPECT_EQ(read.command_line, written.command_line);
  EXPECT_EQ(read.finished, "");
  EXPECT_EQ(read.resumed, written.resumed);
  EXPECT_EQ(read.num_parameters, written.num_parameters);
  EXPECT_EQ(read.pack_bytes, 5);
  EXPECT_EQ(read.pack_modified, written.pack_modified);
  ASSERT_EQ(read.starts.size(), 2U);
  EXPECT_EQ(read.starts[1].epoch, 3);
  EXPECT_EQ(difference_of_last_starts(read), "version 0.1.0 (4d5e6f) instead of 0.1.0 (1a2b3c); ranks 1 instead of 2");

  write_text(path, "{\"version\": \"0.1.0\", \"commit\": 3}\n");
  EXPECT_EQ(error_text([&path] { static_cast<void>(read_provenance(path)); }),
            path.string() + ": the field \"commit\" is number, a text is needed");
}

TEST(RunFolders, AreMadeWithTheirParentsAndLeftClean) {
  const TempFolder folder;
  const RunFolder run{folder.path() / "sweep" / "run"};
  prepare_run_folder(run);
  prepare_run_folder(run);
  EXPECT_TRUE(fs::is_empty(run.root));
  EXPECT_FALSE(run.is_done());
}

TEST(RunFolders, AreRefusedWhereNothingCanBeWritten) {
  const TempFolder folder;
  write_text(folder.path() / "file", "");
  const fs::path below_file = folder.path() / "file" / "run";
  EXPECT_EQ(error_text([&below_file] { prepare_run_folder(RunFolder{below_file}); }),
            "cannot make the run folder " + below_file.string() + ": Not a directory");

  const fs::path locked = folder.path() / "locked";
  fs::create_directory(locked);
  ::chmod(folder.path().c_str(), 0755);
  ::chmod(locked.c_str(), 0555);
  const uid_t user = ::geteuid();
  constexpr uid_t kNobody = 65534;
  if (user == 0 && ::seteuid(kNobody) != 0) {
    GTEST_SKIP() << "root writes everywhere, and cannot step down here";
  }
  const std::string existing = error_text([&locked] { prepare_run_folder(RunFolder{locked}); });
  const std::string missing = error_text([&locked] { prepare_run_folder(RunFolder{locked / "run"}); });
  ASSERT_EQ(::seteuid(user), 0);
  EXPECT_THAT(existing, ::testing::AllOf(HasSubstr(locked.string()), HasSubstr("Permission denied")));
  EXPECT_EQ(missing, "cannot make the run folder " + (locked / "run").string() + ": Permission denied");
}

TEST(RunFolders, AreFoundBelowARoot) {
  const TempFolder folder;
  const fs::path& root = folder.path();
  EXPECT_THAT(error_text([&root] { static_cast<void>(find_run(root)); }), HasSubstr("found no config.toml"));
  for (const char* name : {"b", "a/one", "a/two", "a/two/checkpoint/best", "empty"}) {
    fs::create_directories(root / name);
  }
  for (const char* name : {"b", "a/one", "a/two", "a/two/checkpoint/best"}) {
    write_text(root / name / "config.toml", "");
  }
  std::vector<fs::path> found;
  for (const RunFolder& run : find_runs(root)) {
    found.push_back(run.root);
  }
  EXPECT_THAT(found, ElementsAre(root / "a/one", root / "a/two", root / "b"));
  EXPECT_EQ(find_run(root / "b").root, root / "b");
  fs::create_directories(root / "c/single");
  write_text(root / "c/single/config.toml", "");
  EXPECT_EQ(find_run(root / "c").root, root / "c/single");
  try {
    static_cast<void>(find_run(root / "a"));
    FAIL() << "two runs, none meant";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "2 runs below " + (root / "a").string() + ": give the folder of one of them");
    EXPECT_THAT(error.details(), ElementsAre((root / "a/one").string(), (root / "a/two").string()));
  }
  EXPECT_THAT(error_text([&root] { static_cast<void>(find_runs(root / "none")); }), HasSubstr("no folder"));
  EXPECT_THAT(error_text([&root] { static_cast<void>(find_runs(root / "b/config.toml")); }), HasSubstr("not a folder"));
}

TEST(RunFolders, LinksToFoldersAreFollowedAndEachRunIsFoundOnce) {
  const TempFolder folder;
  const fs::path root = folder.path() / "runs", scratch = folder.path() / "scratch";
  for (const fs::path& run : {root / "z/here", scratch / "sweep/one", scratch / "sweep/two", scratch / "other",
                              folder.path() / "beside", root / "z/here/checkpoint/best"}) {
    fs::create_directories(run);
    write_text(run / "config.toml", "");
  }
  fs::create_directory_symlink("../scratch/sweep", root / "sweep");        // a folder of runs
  fs::create_directory_symlink("../../scratch/other", root / "z/linked");  // a run
  fs::create_directory_symlink("z/here", root / "a");                      // found without a link too
  fs::create_directory_symlink("../scratch/sweep/two", root / "again");    // two links to one run
  fs::create_directory_symlink("..", root / "z/up");                       // a loop
  fs::create_directory_symlink("../..", root / "z/outside");               // above the root: not entered
  fs::create_directory_symlink(root / "z/here", scratch / "sweep/back");   // a link behind a link
  fs::create_symlink("/gone/sweep", root / "dead");
  fs::create_symlink("nowhere", root / ".lock");
  fs::create_directory(root / "circle");
  fs::create_symlink("config.toml", root / "circle/config.toml");
  const auto found = [](const fs::path& where) {
    std::vector<fs::path> roots;
    for (const RunFolder& run : find_runs(where)) {
      roots.push_back(run.root);
    }
    return roots;
  };
  testing::internal::CaptureStderr();
  EXPECT_THAT(found(root), ElementsAre(root / "again", root / "sweep/one", root / "z/here", root / "z/linked"));
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("runs/dead is left out: it is a link that leads nowhere (/gone/sweep)"));
  EXPECT_THAT(log, HasSubstr("runs/circle is left out as a run: cannot read '"));
  EXPECT_THAT(log, HasSubstr("runs/circle/config.toml': it is one of links that lead in a circle"));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 2) << log;
  EXPECT_THROW(std::ignore = find_run(root / "circle"), Error);
  EXPECT_THAT(found(root / "sweep"), ElementsAre(root / "sweep/back", root / "sweep/one", root / "sweep/two"));
  EXPECT_EQ(find_run(root / "z/linked").root, root / "z/linked");
}

}  // namespace

}  // namespace xtasc::run
