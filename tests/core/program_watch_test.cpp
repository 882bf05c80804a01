#include "core/program_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <thread>

#include "core/rank_board.hpp"
#include "core/signals.hpp"

namespace xtasc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

void sleep(milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {  // a signal cuts a sleep short
    std::this_thread::sleep_for(milliseconds(20));
  }
}

ProgramWatch::Options trainer(seconds limit) {
  return {.program = "xtasc-train",
          .limit = limit,
          .when_it_hangs = ExitCode::interrupted,
          .when_stopped = ExitCode::interrupted,
          .advice = "the same command goes on"};
}

TEST(ProgramWatchTest, EndsAProgramInWhichNothingGetsDone) {
  const auto hang = [] {
    ProgramWatch watch(trainer(seconds(900)));
    watch.set_limit(seconds(1), "run.stall_seconds");
    watch.beat("training step", 17);
    sleep(seconds(20));
  };
  EXPECT_EXIT(
      hang(), testing::ExitedWithCode(85),
      "^xtasc-train: error: nothing got done for 1 s in training step 17 \\(since .* UTC\\): a file system or a "
      "device does not answer, or run.stall_seconds = 1 is too short for it; ending, the same command goes on\n$");
}

TEST(ProgramWatchTest, BeatsRestAndNoLimitKeepItQuiet) {
  ProgramWatch watch(trainer(seconds(1)));
  for (int i = 0; i < 15; ++i) {
    watch.beat("training step", i);
    sleep(milliseconds(100));
  }
  watch.rest();
  sleep(milliseconds(1500));
  watch.set_limit(seconds(0), "run.stall_seconds");
  watch.beat("a long step");
  sleep(milliseconds(1500));
}

TEST(ProgramWatchTest, APauseOfTheWholeProcessIsNoHang) {
  const pid_t child = fork();
  if (child == 0) {
    ProgramWatch watch(trainer(seconds(3)));
    for (int i = 0; i < 72; ++i) {  // a beat every 1.2 s, and some time from the end of the pause to the next
      if (i % 24 == 0) {
        watch.beat("training step", i);
      }
      sleep(milliseconds(50));
    }
    _exit(0);
  }
  sleep(milliseconds(500));
  kill(child, SIGSTOP);
  sleep(seconds(5));
  kill(child, SIGCONT);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "a suspended job was taken for one that hangs";
}

TEST(ProgramWatchTest, AStopBeforeTheFirstStepEndsTheProgramWhereverItIs) {
  for (const int signal_number : {SIGTERM, SIGINT, SIGUSR2, SIGHUP}) {
    const auto stop = [signal_number] {
      ProgramWatch watch(trainer(seconds(900)));
      watch.beat("opening the pack");
      std::raise(signal_number);
      sleep(seconds(20));
    };
    EXPECT_EXIT(stop(), testing::ExitedWithCode(85),
                "^xtasc-train: stopped by SIG[A-Z0-9]+ in opening the pack; the same command goes on\n$");
  }
}

TEST(ProgramWatchTest, WhoLooksForStopsItselfIsLeftAlone) {
  const auto stop = [] {
    ProgramWatch watch(trainer(seconds(900)));
    watch.leave_stops_to_program("stopping after this step");
    std::raise(SIGTERM);
    sleep(milliseconds(1500));
    std::_Exit(stop_signal() == SIGTERM ? 7 : 8);
  };
  EXPECT_EXIT(stop(), testing::ExitedWithCode(7), "SIGTERM: stopping after this step\n$");
}

TEST(ProgramWatchTest, AProgramHasASecondToEndByItself) {
  const auto options = [] {
    ProgramWatch::Options patient = trainer(seconds(900));
    patient.stop_patience = seconds(1);
    patient.when_stopped = std::nullopt;
    return patient;
  };
  const auto by_itself = [&] {
    ProgramWatch watch(options());
    std::raise(SIGTERM);
    sleep(milliseconds(500));
    std::_Exit(9);
  };
  EXPECT_EXIT(by_itself(), testing::ExitedWithCode(9), "^$");
  const auto not_by_itself = [&] {
    ProgramWatch watch(options());
    std::raise(SIGTERM);
    sleep(seconds(20));
  };
  EXPECT_EXIT(not_by_itself(), testing::ExitedWithCode(128 + SIGTERM), "stopped by SIGTERM");
}

TEST(ProgramWatchTest, UnderNohupAClosedTerminalStopsNothing) {
  const auto go_on = [] {
    std::signal(SIGHUP, SIG_IGN);
    ProgramWatch watch(trainer(seconds(900)));
    std::raise(SIGHUP);
    sleep(milliseconds(500));
    std::_Exit(stop_signal() == 0 ? 7 : 8);
  };
  EXPECT_EXIT(go_on(), testing::ExitedWithCode(7), "^$");
}

/// A board of two ranks, the second of which is another process that does as it is told.
class RankBoardTest : public testing::Test {  // NOLINT: gtest destroys it
 protected:
  static LaunchedAs rank(int rank) {
    static const std::string process = std::to_string(::getpid());  // the first one's
    const std::string test = testing::UnitTest::GetInstance()->current_test_info()->name();
    return {.rank = rank, .num_ranks = 2, .num_local = 2, .job = test + process, .by_mpirun = false};
  }
  void start_other(const std::function<void(RankBoard&)>& work) {
    other_ = fork();
    if (other_ == 0) {
      RankBoard board(rank(1));
      work(board);
      pause();
      _exit(0);
    }
  }
  /// Until the other rank is where it is to be.
  static void wait_for(const std::function<bool()>& is_there) {
    for (int i = 0; i < 500 && !is_there(); ++i) {
      sleep(milliseconds(20));
    }
    ASSERT_TRUE(is_there());
  }
  ~RankBoardTest() override {
    if (other_ > 0) {
      kill(other_, SIGKILL);
      waitpid(other_, nullptr, 0);
    }
  }
  pid_t other_ = -1;
};

TEST_F(RankBoardTest, NamesTheRanksThatNeverCame) {
  RankBoard board(rank(0));
  EXPECT_EQ(board.who_is_missing(),
            "1 of this host's 2 ranks did not arrive: it has not reached the program's first line");
}

TEST_F(RankBoardTest, NamesTheRankThatBeganFewerOperations) {
  RankBoard board(rank(0));
  board.set_doing("training step", 3);
  board.begin(RankBoard::Operation::sum);
  start_other([](RankBoard& others) { others.set_doing("opening the pack", 0); });
  wait_for([&] { return board.table().size() == 2; });
  EXPECT_THAT(board.who_is_missing(), AllOf(HasSubstr("rank 1 (process " + std::to_string(other_)),
                                            HasSubstr("did not arrive"), testing::Not(HasSubstr("rank 0"))));
  EXPECT_THAT(board.table(),
              ElementsAre(testing::MatchesRegex("rank 0 .process [0-9]+.: training step 3, for .* s; sum 1 of the "
                                                "ranks, waiting in it"),
                          testing::MatchesRegex("rank 1 .process [0-9]+.: opening the pack, for .* s")));
}

TEST_F(RankBoardTest, NamesTheRankThatIsInNoOperation) {
  RankBoard board(rank(0));
  start_other([](RankBoard& others) {
    others.begin(RankBoard::Operation::barrier);
    others.end();
    others.set_doing("its step", 0);
  });
  wait_for([&] { return board.table().size() == 2 && board.num_beats() == 3; });
  board.begin(RankBoard::Operation::barrier);
  EXPECT_THAT(board.who_is_missing(), HasSubstr("rank 1 (process"));
}

TEST_F(RankBoardTest, NamesTheRankThatWasStopped) {
  RankBoard board(rank(0));
  const auto same = [](RankBoard& each) { each.begin(RankBoard::Operation::gather); };
  start_other(same);
  same(board);
  wait_for([&] { return board.table().size() == 2; });
  kill(other_, SIGSTOP);
  wait_for([&] { return !board.who_is_missing().empty(); });
  EXPECT_EQ(board.who_is_missing(), "rank 1 (process " + std::to_string(other_) + ", stopped) did not arrive");
}

TEST_F(RankBoardTest, KnowsNobodyWhereAllWait) {
  RankBoard board(rank(0));
  const auto same = [](RankBoard& each) { each.begin(RankBoard::Operation::gather); };
  start_other([&](RankBoard& others) {
    same(others);
    others.set_doing("all the same", 0);
  });
  same(board);
  wait_for([&] { return board.num_beats() == 3; });
  EXPECT_THAT(board.who_is_missing(), IsEmpty());
}

TEST_F(RankBoardTest, OthersBeatsAreSeenAndOneOfAllSpeaks) {
  RankBoard board(rank(0));
  const std::uint64_t before = board.num_beats();
  start_other([](RankBoard& others) {
    static_cast<void>(others.claim_report());
    others.set_doing("one", 1);
    others.set_doing("two", 2);
  });
  wait_for([&] { return board.num_beats() == before + 3; });
  EXPECT_FALSE(board.claim_report());
}

TEST(RankBoardAloneTest, OfNoJobIsItsOwn) {
  RankBoard one(LaunchedAs{}), other(LaunchedAs{});
  other.set_doing(std::string(500, 'x'), 0);
  EXPECT_EQ(one.num_beats(), 1U);
  EXPECT_EQ(other.doing(), std::string(111, 'x'));
  EXPECT_THAT(one.who_is_missing(), IsEmpty());
  EXPECT_TRUE(one.claim_report());
}

}  // namespace
}  // namespace xtasc
