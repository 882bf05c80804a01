#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <functional>
#include <set>
#include <system_error>

#include <unistd.h>

#include "core/cli.hpp"
#include "core/error.hpp"
#include "core/progress.hpp"
#include "core/random.hpp"
#include "core/signals.hpp"

namespace xtasc {
namespace {

TEST(RandomStream, IsAPureFunctionOfItsKeys) {
  const auto first = [](std::uint64_t seed, Purpose purpose, std::uint64_t epoch, std::uint64_t index) {
    return RandomStream(seed, purpose, epoch, index).next();
  };
  EXPECT_EQ(first(1, Purpose::flip, 2, 3), first(1, Purpose::flip, 2, 3));
  const std::set<std::uint64_t> different = {first(1, Purpose::flip, 2, 3),       first(2, Purpose::flip, 2, 3),
                                             first(1, Purpose::scale_crop, 2, 3), first(1, Purpose::flip, 3, 2),
                                             first(1, Purpose::flip, 2, 4),       first(3, Purpose::flip, 2, 1)};
  EXPECT_EQ(different.size(), 6U);
}

TEST(RandomStream, TheRecordedDraws) {
  // Part of every published result: a change here changes them all.
  RandomStream stream(1, Purpose::sample_order, 0, 0);
  EXPECT_EQ(stream.next(), 9222920530575355472ULL);
  EXPECT_EQ(stream.below(1000), 315U);
}

TEST(RandomStream, BelowIsUniform) {
  RandomStream stream(7, Purpose::flip, 0, 0);
  std::array<int, 5> counts{};
  for (int i = 0; i < 50000; ++i) {
    ++counts[stream.below(5)];
  }
  for (const int count : counts) {
    EXPECT_NEAR(count, 10000, 400);
  }
}

TEST(RandomStream, NormalHasMeanZeroAndVarianceOne) {
  RandomStream stream(7, Purpose::initial_weights, 0, 0);
  double sum = 0.0;
  double square = 0.0;
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    const double x = stream.normal();
    sum += x;
    square += x * x;
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 0.02);
  EXPECT_NEAR(square / kDraws, 1.0, 0.02);
}

TEST(RandomStream, NeighbouringKeysAreIndependent) {
  double correlation = 0.0;
  constexpr int kPairs = 20000;
  for (std::uint64_t i = 0; i < kPairs; ++i) {
    correlation += (RandomStream(1, Purpose::flip, 0, i).uniform() - 0.5) *
                   (RandomStream(1, Purpose::flip, 0, i + 1).uniform() - 0.5);
  }
  EXPECT_NEAR(correlation / kPairs * 12.0, 0.0, 0.03);
}

TEST(Error, CheckFormatsItsMessage) {
  try {
    check(false, "{} of {}", 3, "four");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "3 of four");
    EXPECT_EQ(error.code(), ExitCode::failure);
  }
  EXPECT_NO_THROW(check(true, "never"));
}

TEST(Error, EveryLineIsReadable) {
  const Error error("a\nb\x1b[31m \"caf\u00e9\"", ExitCode::failure,
                    {std::string("c\0d\x7f", 4), std::string(5000, 'x')});
  EXPECT_STREQ(error.what(), "a\\x0ab\\x1b[31m \"caf\u00e9\"");
  EXPECT_EQ(error.details()[0], "c\\x00d\\x7f");
  EXPECT_EQ(error.details()[1], std::string(2000, 'x') + " ... (3000 bytes more)");
}

TEST(Error, AtMostTwentyDetailsArePrinted) {
  const Error error("25 faults", ExitCode::failure, std::vector<std::string>(25, "fault"));
  testing::internal::CaptureStderr();
  print_error("program", error);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 22);
  EXPECT_NE(text.find("program: error: 25 faults"), std::string::npos);
  EXPECT_NE(text.find("... and 5 more"), std::string::npos);
}

TEST(RunProgram, AnEmptyTextIsNoValueOfAnyOption) {
  const auto run = [](std::vector<const char*> arguments, std::string& error) {
    CLI::App app("A test's program.", "program");
    std::string size, pack;
    std::int64_t seed = 7;
    std::vector<std::int64_t> samples;
    CLI::App* command = app.add_subcommand("command", "A test's command");
    command->add_option("--size", size, "A text");
    command->add_option("--seed", seed, "A number");
    command->add_option("--samples", samples, "Numbers")->delimiter(',');
    command->add_option("PACK", pack, "A file");
    arguments.insert(arguments.begin(), "program");
    testing::internal::CaptureStderr();
    const int code = run_program(app, static_cast<int>(arguments.size()), const_cast<char**>(arguments.data()),
                                 [] { return ExitCode::success; });
    error = testing::internal::GetCapturedStderr();
    return code;
  };
  std::string error;
  EXPECT_EQ(run({"command", "--size", "32x64", "--seed", "3", "a.h5", "--samples", "1,2"}, error), 0) << error;
  EXPECT_EQ(run({"command", "--size", ""}, error), 2);
  EXPECT_EQ(error, "program: error: --size is empty: give it a value or leave it out (see program --help)\n");
  for (const char* option : {"--seed", "--samples"}) {  // would be 0
    EXPECT_EQ(run({"command", option, ""}, error), 2) << error;
  }
  EXPECT_EQ(run({"command", ""}, error), 2);
  EXPECT_EQ(error, "program: error: PACK is empty: give it a value or leave it out (see program --help)\n");
}

/// As a program whose standard output is this file.
int run_with_output(const char* file, const std::function<void()>& body, std::string& error) {
  const int kept = ::dup(STDOUT_FILENO);
  std::fflush(stdout);
  EXPECT_NE(std::freopen(file, "w", stdout), nullptr);
  CLI::App app("A test's program.", "program");
  const char* arguments[] = {"program"};
  testing::internal::CaptureStderr();
  const int code = run_program(app, 1, const_cast<char**>(arguments), [&body] {
    body();
    return ExitCode::success;
  });
  error = testing::internal::GetCapturedStderr();
  std::clearerr(stdout);
  ::dup2(kept, STDOUT_FILENO);
  ::close(kept);
  return code;
}

TEST(RunProgram, OutputThatIsLostIsAFailure) {
  std::string error;
  EXPECT_EQ(run_with_output(
                "/dev/full", [] { std::fputs("a result\n", stdout); }, error),
            1);
  EXPECT_EQ(error, "program: error: cannot write to standard output: No space left on device\n");
  EXPECT_EQ(run_with_output(
                "/dev/full", [] {}, error),
            0)
      << error;
  EXPECT_EQ(run_with_output(
                "/dev/null", [] { std::fputs("a result\n", stdout); }, error),
            0)
      << error;
  EXPECT_EQ(run_with_output(
                "/dev/full", [] { fail_usage("no such thing"); }, error),
            2);
  EXPECT_EQ(error, "program: error: no such thing\n");
}

TEST(RunProgram, SaysThatThereAreNoMoreThreads) {
  std::string error;
  const auto fail_to_start = [] {
    throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
  };
  EXPECT_EQ(run_with_output("/dev/null", fail_to_start, error), 1);
  EXPECT_THAT(error, testing::StartsWith("program: error: cannot start another thread: "));
}

TEST(Signals, AreRemembered) {
  for (const int signal_number : {SIGUSR2, SIGTERM, SIGINT, SIGHUP}) {
    const auto remember = [signal_number] {
      install_stop_handlers();
      const int before = stop_signal();
      std::raise(signal_number);
      std::_Exit(before == 0 && stop_signal() == signal_number ? 7 : 8);
    };
    EXPECT_EXIT(remember(), testing::ExitedWithCode(7), "");
  }
  EXPECT_EQ(signal_name(SIGUSR2), "SIGUSR2");
  EXPECT_EQ(signal_name(SIGHUP), "SIGHUP");
}

TEST(Progress, DurationsForPeople) {
  EXPECT_EQ(duration_text(9.4), "9 s");
  EXPECT_EQ(duration_text(252), "4 min 12 s");
  EXPECT_EQ(duration_text(11100), "3 h 05 min");
}

}  // namespace
}  // namespace xtasc
