#include "sweep/slurm/batch_script.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "core/command.hpp"
#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "report/results_fixture.hpp"
#include "sweep/slurm/site.hpp"

namespace xtasc::sweep {

namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

const fs::path kSource = XTASC_SOURCE_DIR;

std::string form() {
  return io::read_file(kSource / "slurm/job.sbatch.in");
}

BatchJob job(std::int64_t num_runs = 10) {
  return {.sweep = "table_III",
          .token = "0123456789ab",
          .folder = "/home/user/results/runs/table_III",
          .directory = "/home/user/xtasc",
          .trainer_hash = "fedcba987654",
          .num_runs = num_runs,
          .max_at_once = 0};
}

std::string error_of(const std::string& site_text) {
  try {
    static_cast<void>(parse_site(site_text, "site.toml"));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "accepted";
}

/// Compares with a file in tests/golden; XTASC_UPDATE_GOLDEN=1 writes it anew.
void expect_golden(const std::string& text, const std::string& file) {
  const fs::path path = kSource / "tests/golden" / file;
  if (std::getenv("XTASC_UPDATE_GOLDEN") != nullptr) {
    io::write_file_atomically(path, text);
  }
  EXPECT_EQ(text, io::read_file(path));
}

TEST(BatchScript, SixteenRanksOnTwoNodesIsTheGoldenFile) {
  const Site site = parse_site(
      "[job]\npartition = \"gpu\"\naccount = \"vision\"\nnodes = 2\ngpus_per_node = 8\ngpu_type = \"h100\"\n"
      "cpus_per_rank = 12\nmax_at_once = 4\nextra = [\"--constraint=ib\"]\n"
      "[launch]\nmodules = [\"cuda/12.8\", \"openmpi\"]\n"
      "environment = [\"NCCL_SOCKET_IFNAME=ib0\", \"NOTE=it's here\"]\n",
      "site.toml");
  BatchJob batch = job();
  batch.max_at_once = 4;
  expect_golden(batch_script(form(), site, batch), "job.sbatch");
}

TEST(BatchScript, WhatNoShellWillFillInIsRefused) {
  ::setenv("HOME", "/home/anna", 1);
  const Site site = parse_site(
      "[job]\nextra = [\"--output=~/log\"]\n[launch]\nenvironment = [\"A=~/a\", \"B=5$\", \"C=x=~/y\"]\n", "site.toml");
  EXPECT_THAT(site.extra, testing::ElementsAre("--output=/home/anna/log"));
  EXPECT_THAT(site.environment, testing::ElementsAre("A=/home/anna/a", "B=5$", "C=x=~/y"));
  EXPECT_EQ(error_of("[launch]\nenvironment = [\"PATH=$HOME/bin:/bin\"]\n"),
            "site.toml:2:15: launch.environment must be a list of \"NAME=value\" ($HOME is not filled in: write "
            "\"$HOME/bin:/bin\" out), found the list [\"PATH=$HOME/bin:/bin\"]");
}

TEST(BatchScript, RunsThatShareAGpuByMpirun) {
  const Site site = parse_site(
      "[job]\ngpus_per_node = 1\n[launch]\nlauncher = \"mpirun\"\nruns_per_gpu = 3\n[restart]\nwarning_seconds = 300\n",
      "site.toml");
  const std::string text = batch_script(form(), site, job());
  EXPECT_THAT(text, HasSubstr("#SBATCH --array=0-3\n"));
  EXPECT_THAT(text, HasSubstr("#SBATCH --signal=B:USR2@300\n"));
  EXPECT_THAT(text, HasSubstr("trap 'kill -USR2 \"${pids[@]}\"' USR2"));
  EXPECT_THAT(text, HasSubstr("exec mpirun -np 1 --map-by ppr:1:node \\\n    --bind-to none \"$@\""));
  EXPECT_THAT(text, HasSubstr("--set run.threads=2 >>"));
  EXPECT_THAT(text, Not(HasSubstr("srun --mpi")));
}

TEST(BatchScript, RunsThatShareAGpuHaveMps) {
  const auto script = [](const std::string& job_keys, int runs_per_gpu) {
    return batch_script(
        form(),
        parse_site(fmt::format("[job]\n{}\n[launch]\nruns_per_gpu = {}\n", job_keys, runs_per_gpu), "site.toml"),
        job());
  };
  const std::string shared = script("gpus_per_node = 2", 4);
  EXPECT_THAT(shared, HasSubstr("set -u\n\n# MPS"));
  EXPECT_THAT(shared, HasSubstr("\nstart_mps\n\n# After a requeue"));
  EXPECT_THAT(shared, HasSubstr("env -u CUDA_VISIBLE_DEVICES nvidia-cuda-mps-control -d"));
  EXPECT_THAT(shared, HasSubstr("echo quit | nvidia-cuda-mps-control"));
  for (const std::string& text :
       {script("gpus_per_node = 2", 1), script("gpus_per_node = 0\nranks_per_node = 2", 4), script("nodes = 2", 4)}) {
    EXPECT_THAT(text, Not(HasSubstr("mps")));
    EXPECT_THAT(text, HasSubstr("set -u\n\n# After a requeue"));
  }
}

/// What the shell makes of it, with a made-up daemon that notes how it is called.
TEST(BatchScript, MpsIsStartedAndStoppedAndMayBeMissing) {
  const std::string text =
      batch_script(form(), parse_site("[job]\ngpus_per_node = 1\n[launch]\nruns_per_gpu = 2\n", "site.toml"), job());
  const auto begin = text.find("# MPS");
  const std::string part = text.substr(begin, text.find("# After a requeue") - begin);
  const test::TempFolder folder;
  const std::string name = fmt::format("test{}", ::getpid());
  const fs::path control = folder.path() / "nvidia-cuda-mps-control";
  const auto run = [&](const std::string& daemon) {
    io::write_file_atomically(control, std::string_view("#!/bin/sh\n" + daemon));
    fs::permissions(control, fs::perms::owner_all);
    io::write_file_atomically(folder.path() / "script", std::string_view("set -u\n" + part + "echo at work\n"));
    const CommandResult done =
        run_command({"env", fmt::format("PATH={}:/usr/bin:/bin", folder.path().string()), "SLURM_JOB_ID=" + name,
                     "CUDA_VISIBLE_DEVICES=3", "bash", (folder.path() / "script").string()},
                    {.timeout = std::chrono::seconds(20)});
    EXPECT_EQ(done.exit_code, 0);
    const auto is_left = [&](const fs::directory_entry& entry) {
      return entry.path().filename().string().starts_with("xtasc-mps-" + name);
    };
    EXPECT_TRUE(std::ranges::none_of(fs::directory_iterator("/tmp"), is_left));
    return done.output + done.errors;
  };
  EXPECT_THAT(run("[ \"$1\" = -d ] && echo \"start $CUDA_MPS_PIPE_DIRECTORY ${CUDA_VISIBLE_DEVICES-all}\" || cat\n"),
              MatchesRegex("start /tmp/xtasc-mps-" + name + "-...... all\nat work\nquit\n"));
  EXPECT_THAT(run("exit 1\n"), HasSubstr("no MPS: nvidia-cuda-mps-control is missing or does not start"));
}

TEST(BatchScript, NodesWithoutGpus) {
  const Site site = parse_site("[job]\ngpus_per_node = 0\nranks_per_node = 4\ncpus_per_rank = 1\n", "site.toml");
  const std::string text = batch_script(form(), site, job(1));
  EXPECT_THAT(text, Not(HasSubstr("--gpus")));
  EXPECT_THAT(text, HasSubstr("--ntasks=4 "));
  EXPECT_THAT(text, HasSubstr("1 run in 1 element."));
}

TEST(BatchScript, OneOfASweepWithRungsAsksHowFarARunMayGo) {
  const Site site = parse_site("[launch]\nruns_per_gpu = 2\n", "site.toml");
  BatchJob batch = job();
  const std::string plain = batch_script(form(), site, batch);
  EXPECT_THAT(plain, Not(HasSubstr("rung")));
  EXPECT_THAT(plain, Not(HasSubstr("until_epoch")));
  batch.sweeper_hash = "0123456789ab";
  const std::string text = batch_script(form(), site, batch);
  EXPECT_THAT(text, HasSubstr("readonly SWEEPER=\"$SWEEP/.sweep/frozen/0123456789ab/xtasc-sweep\"\nreadonly RUNS_PER"));
  EXPECT_THAT(text, HasSubstr("  if ! until_epoch=\"$(\"$SWEEPER\" rung \"$SWEEP\" \"$1\")\"; then"));
  EXPECT_THAT(text, HasSubstr(".toml\" --set run.threads="));
  EXPECT_THAT(text, HasSubstr(" ${until_epoch:+--until-epoch \"$until_epoch\"} >>\"$SWEEP/$run/log.txt\""));
  EXPECT_LT(text.find("elif (($2 == 0)); then"), text.find("elif (($2 != STOPPED && $2 <= 128)); then"));
}

TEST(BatchScript, FoldersWithSpacesAreQuoted) {
  BatchJob batch = job();
  batch.folder = "/home/some user/it's";
  const std::string text = batch_script(form(), parse_site("", "site.toml"), batch);
  EXPECT_THAT(text, HasSubstr("readonly SWEEP='/home/some user/it'\\''s' #"));
  EXPECT_THAT(text, HasSubstr("#SBATCH --output=\"/home/some user/it's/.sweep/"));
}

TEST(BatchScript, AFormWithUnknownOrMissingPlacesIsRefused) {
  const Site site = parse_site("", "site.toml");
  EXPECT_THROW(static_cast<void>(batch_script("@NONE@", site, job())), Error);
  EXPECT_THROW(static_cast<void>(batch_script("@SWEEP@", site, job())), Error);
}

TEST(Site, TheFileInTheRepositoryHoldsTheDefaults) {
  const Site read = read_site(kSource / "slurm/site.toml");
  const Site defaults = parse_site("", "site.toml");
  EXPECT_EQ(batch_script(form(), read, job()), batch_script(form(), defaults, job()));
}

TEST(Site, FaultsAreNamedWithTheirPlace) {
  EXPECT_EQ(error_of("[job]\nnode = 2\n"), "site.toml:2:1: unknown key \"node\" in [job]; did you mean \"nodes\"?");
  EXPECT_EQ(error_of("[job]\nnodes = 0\n"), "site.toml:2:9: job.nodes must be an integer >= 1, found the integer 0");
  EXPECT_EQ(error_of("[job]\npartition = \"a b\"\n"),
            "site.toml:2:13: job.partition must be a partition's name, found the string \"a b\"");
  EXPECT_THAT(error_of("[launch]\nlauncher = \"ssh\"\n"), HasSubstr("one of srun, mpirun"));
  EXPECT_EQ(error_of("[launch]\nenvironment = [\"A=b\", \"1A=b\", \"NONE\"]\n"),
            "site.toml:2:15: launch.environment must be a list of \"NAME=value\" (the string \"1A=b\" is none), found "
            "the list [\"A=b\", \"1A=b\", \"NONE\"]");
  EXPECT_THAT(error_of("[launch]\nmodules = [\"a; rm b\"]\n"), HasSubstr("a list of module names"));
  EXPECT_THAT(error_of("[job]\nextra = [\"--a\\n--b\"]\n"), HasSubstr("a list of options of sbatch"));
  EXPECT_THAT(error_of("[job]\ngpus_per_node = 2\nranks_per_node = 3\n"), HasSubstr("each rank has one GPU"));
  EXPECT_THAT(error_of("[job]\ngpus_per_node = 0\n"), HasSubstr("ranks_per_node must say"));
  EXPECT_THAT(error_of("[restart]\nwarning_seconds = 60\n"), HasSubstr(">= 120, found 60"));
  EXPECT_THAT(error_of("[job]\ntime = \"\"\n"), HasSubstr("job.time must not be empty"));
  for (const char* time : {"foo", "1:", ":1", "1:2:3:4", "-1", "1-", "1-2-3", "x-1", "1-2:3:4:5"}) {
    EXPECT_THAT(error_of(fmt::format("[job]\ntime = \"{}\"\n", time)), HasSubstr("as sbatch takes it")) << time;
  }
}

TEST(Site, TheTimeLimitLeavesRoomForTheWarning) {
  for (const char* time : {"5", "5:59", "0:05:59", "0-0:05:59", "0-0:5"}) {
    EXPECT_THAT(error_of(fmt::format("[job]\ntime = \"{}\"\n", time)),
                HasSubstr("at least twice restart.warning_seconds = 180"))
        << time;
  }
  for (const char* time : {"6", "6:00", "0:06:00", "0-0:06:00", "0-1", "1-0:0", "24:00:00", "2-00:00:00"}) {
    EXPECT_EQ(parse_site(fmt::format("[job]\ntime = \"{}\"\n", time), "site.toml").time, time);
  }
}

TEST(BatchScript, APercentSignOfTheFolderIsNoPattern) {
  BatchJob batch = job();
  batch.folder = "/data/%A";
  EXPECT_THAT(batch_script(form(), parse_site("", "site.toml"), batch), HasSubstr("--output=/data/%%A/.sweep/"));
}

}  // namespace

}  // namespace xtasc::sweep
