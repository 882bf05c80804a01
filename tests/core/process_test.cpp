#include "core/process.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "core/command.hpp"
#include "core/error.hpp"
#include "core/file_lock.hpp"
#include "support/temp_folder.hpp"

namespace fs = std::filesystem;

namespace xtasc {
namespace {

using std::chrono::seconds;

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(FileLock, IsHeldByOneAndByWhoInheritsIt) {
  const test::TempFolder folder;
  const fs::path path = folder.path() / "lock";
  EXPECT_EQ(lock_holder(path), std::nullopt);
  auto lock = FileLock::try_take(path, "first");
  ASSERT_TRUE(lock);
  EXPECT_FALSE(FileLock::try_take(path, "second"));
  EXPECT_EQ(lock_holder(path), "first");
  EXPECT_THROW(static_cast<void>(FileLock::take(path, "third", 0.1)), Error);
  Process child({.command = {"sleep", "30"}, .log = folder.path() / "log", .inherited = lock->descriptor()});
  lock.reset();
  EXPECT_EQ(lock_holder(path), "first");
  child.kill_group();
  while (!child.poll()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(lock_holder(path), std::nullopt);
  EXPECT_TRUE(FileLock::try_take(path, "second"));
}

int wait_for(Process& process) {
  while (!process.poll()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return *process.poll();
}

TEST(ProcessTest, LogEnvironmentCoresAndExitCode) {
  const test::TempFolder folder;
  const fs::path log = folder.path() / "log";
  std::ofstream(log) << "before\n";
  Process process({.command = {"sh", "-c", "echo $WORD; grep Cpus_allowed_list /proc/self/status; cat; exit 3"},
                   .environment = {{"WORD", "a word"}},
                   .log = log,
                   .cores = {allowed_cores().front()}});
  EXPECT_EQ(wait_for(process), 3);
  EXPECT_EQ(read_text(log), fmt::format("before\na word\nCpus_allowed_list:\t{}\n", allowed_cores().front()));
  Process killed({.command = {"sleep", "30"}, .log = log});
  killed.signal(SIGTERM);
  EXPECT_EQ(wait_for(killed), 128 + SIGTERM);
}

TEST(ProcessTest, VariablesOfThisProcessMayBeLeftOut) {
  const test::TempFolder folder;
  ::setenv("XTASC_TEST_ONE", "1", 1);
  ::setenv("XTASC_TEST_TWO", "2", 1);
  Process process({.command = {"sh", "-c", "echo \"${XTASC_TEST_ONE-none} ${XTASC_TEST_TWO-none} ${PATH:+path}\""},
                   .environment = {{"XTASC_TEST_TWO", "3"}},
                   .without = {"XTASC_TEST_"},
                   .log = folder.path() / "log"});
  EXPECT_EQ(wait_for(process), 0);
  EXPECT_EQ(read_text(folder.path() / "log"), "none 3 path\n");
  ::unsetenv("XTASC_TEST_ONE");
  ::unsetenv("XTASC_TEST_TWO");
}

TEST(ProcessTest, WhatCannotStartSaysWhy) {
  const auto fault = [](const ProcessOptions& options) -> std::string {
    try {
      const Process process(options);
      return "started";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_EQ(fault({.command = {"/nowhere/program"}}), "cannot start /nowhere/program: No such file or directory");
  EXPECT_EQ(fault({.command = {"/nowhere/program"}, .if_missing = "install it"}), "install it");
  EXPECT_EQ(fault({.command = {"true"}, .folder = "/nowhere", .if_missing = "install it"}),
            "cannot start true in /nowhere: No such file or directory");
  EXPECT_EQ(fault({.command = {"true"}, .log = "/nowhere/log"}),
            "cannot start true, whose output goes to /nowhere/log: No such file or directory");
}

TEST(ProcessTest, AnOrphanIsTold) {
  const test::TempFolder folder;
  const fs::path log = folder.path() / "log";
  const pid_t parent = ::fork();
  if (parent == 0) {
    Process child({.command = {"sh", "-c", "trap 'echo told; exit' USR2; echo ready; while :; do sleep 0.05; done"},
                   .log = log,
                   .signal_when_orphaned = SIGUSR2});
    ::pause();
  }
  const auto wait_for_text = [&](const std::string& text) {
    for (int i = 0; i < 500 && read_text(log) != text; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    EXPECT_EQ(read_text(log), text);
  };
  wait_for_text("ready\n");
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  wait_for_text("ready\ntold\n");
}

TEST(ProcessTest, ReadsAndWritesWhatItIsGiven) {
  Pipe to, from;
  Process process({.command = {"sh", "-c", "read word; pwd; echo $word >&2; exit 4"},
                   .folder = "/",
                   .input = to.reader(),
                   .output = from.writer(),
                   .errors = from.writer()});
  to.close_reader();
  from.close_writer();
  ASSERT_EQ(::write(to.writer(), "hello\n", 6), 6);
  EXPECT_EQ(process.wait(), 4);
  std::array<char, 64> text{};
  const ssize_t count = ::read(from.reader(), text.data(), text.size());
  EXPECT_EQ(std::string(text.data(), static_cast<std::size_t>(count)), "/\nhello\n");
}

TEST(Command, OutputExitCodeAndTimeLimit) {
  const auto both = run_command({"sh", "-c", "echo out; echo err >&2; exit 3"}, {.timeout = seconds(10)});
  EXPECT_EQ(both.exit_code, 3);
  EXPECT_EQ(both.output, "out\n");
  EXPECT_EQ(both.errors, "err\n");
  EXPECT_TRUE(run_command({"sh", "-c", "sleep 60 & sleep 60"}, {.timeout = seconds(1)}).timed_out);
  EXPECT_EQ(run_command({"sh", "-c", "kill -9 $$"}, {.timeout = seconds(10)}).exit_code, 137);
  const auto merged = run_command({"sh", "-c", "echo out; echo err >&2; pwd"}, {.folder = "/", .is_merged = true});
  EXPECT_EQ(merged.output, "out\nerr\n/\n");
  EXPECT_THROW(static_cast<void>(run_command({"xtasc-no-such-program"}, {.timeout = seconds(10)})), Error);
  EXPECT_EQ(run_command({"sh", "-c", "head -c 300000 /dev/zero"}, {.timeout = seconds(10)}).output.size(), 300000U);
}

}  // namespace
}  // namespace xtasc
