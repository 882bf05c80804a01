#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "config/run_config.hpp"
#include "core/error.hpp"
#include "support/temp_folder.hpp"

namespace xtasc::config {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

class PathsOfConfigs : public testing::Test {
 protected:
  void SetUp() override {
    home_ = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
    ::setenv("HOME", "/home/anna", 1);
  }
  void TearDown() override { home_.empty() ? ::unsetenv("HOME") : ::setenv("HOME", home_.c_str(), 1); }

  std::filesystem::path write(const std::string& text) const {
    std::ofstream(folder_ / "a.toml") << text;
    return folder_ / "a.toml";
  }
  std::string refusal(const std::string& text, const std::vector<std::string>& assignments = {}) const {
    try {
      std::ignore = read_run_config(write(text), assignments);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      return error.what();
    }
    return "accepted";
  }

  test::TempFolder folder_;

 private:
  std::string home_;
};

TEST_F(PathsOfConfigs, HomeIsFilledInWhereverAUserNamesAPath) {
  const RunConfig c = read_run_config(write("[run]\noutput = \"~/runs\"\nname = \"~x\"\n[data]\npack = \"~/nyu.h5\"\n"),
                                      {"model.encoder_weights=~/r.pth"});
  EXPECT_EQ(c.run.output, "/home/anna/runs");
  EXPECT_EQ(c.data.pack, "/home/anna/nyu.h5");
  EXPECT_EQ(c.model.encoder_weights, "/home/anna/r.pth");
  EXPECT_EQ(c.run.name, "~x");  // no path
  EXPECT_EQ(run_config_of({"model.system=kd4mtl", "distillation.teacher_seg=~/t"}).distillation.of("seg").weights,
            "/home/anna/t");
}

TEST_F(PathsOfConfigs, WhatAShellWouldFillInIsRefusedWithItsPlace) {
  EXPECT_THAT(refusal("[data]\npack = \"$TMPDIR/a.h5\"\n"),
              EndsWith("a.toml:2:8: data.pack: $TMPDIR is not filled in: write \"$TMPDIR/a.h5\" out"));
  EXPECT_EQ(refusal("", {"run.output=~otto/runs"}),
            "--set run.output=~otto/runs: run.output: ~otto is not filled in: write the folder out (or "
            "\"./~otto/runs\", where one is called so)");
  EXPECT_EQ(refusal("", {"run.output=${SCRATCH}/runs"}),
            "--set run.output=${SCRATCH}/runs: run.output: ${SCRATCH} is not filled in: write \"${SCRATCH}/runs\" out");
  ::unsetenv("HOME");
  EXPECT_THAT(refusal("[data]\npack = \"~/a.h5\"\n"), HasSubstr("a.toml:2:8: data.pack: HOME is not set"));
}

/// What an earlier version trained into a folder that is called "~" is still there.
TEST_F(PathsOfConfigs, ARunsOwnConfigMeansWhatItSays) {
  const RunConfig c = read_written_config(write("[run]\noutput = \"$X/~\"\n[data]\npack = \"~/nyu.h5\"\n"));
  EXPECT_EQ(c.run.output, "$X/~");
  EXPECT_EQ(c.data.pack, "~/nyu.h5");
  EXPECT_EQ(read_written_config(write("[data]\npack = \"~/a.h5\"\n"), {"data.pack=~/b.h5"}).data.pack,
            "/home/anna/b.h5");
}

TEST_F(PathsOfConfigs, AConfigThatIsNoFileIsRefusedByItsKind) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0666), 0);
  for (const auto& [path, words] : {std::pair{folder_ / "pipe", "it is a named pipe, a config (TOML) is expected"},
                                    std::pair{folder_.path(), "it is a folder, a config (TOML) is expected"},
                                    std::pair{std::filesystem::path("/dev/null"), "it is a device, a config (TOML) is"},
                                    std::pair{folder_ / "none", "No such file or directory"}}) {
    try {
      std::ignore = read_run_config(path);
      ADD_FAILURE() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      EXPECT_THAT(error.what(), HasSubstr(fmt::format("cannot read '{}': {}", path.string(), words)));
    }
  }
}

TEST_F(PathsOfConfigs, OtherEncodingsAreNamed) {
  EXPECT_THAT(refusal(std::string("\xff\xfe[\0r\0", 6)), EndsWith("a.toml: it is UTF-16: save it as UTF-8"));
  EXPECT_THAT(refusal("# caf\xe9\n"), EndsWith("a.toml: its line 1 is not UTF-8 (\"# caf\\xe9\"): save it as UTF-8"));
  EXPECT_EQ(refusal("\xef\xbb\xbf[run]\r\nseed = 3\r\n"), "accepted");
}

}  // namespace
}  // namespace xtasc::config
