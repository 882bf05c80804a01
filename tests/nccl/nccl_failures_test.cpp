// The NCCL communicator's protocol on a double of NCCL and CUDA, under mpirun -np 1, 2 and 3: start-up and what goes
// wrong.
#include <gmock/gmock.h>

#include <cstdlib>
#include <future>
#include <thread>

#include "nccl/nccl_fixture.hpp"

namespace xtasc {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST_F(Nccl, StartUpThatFailsSaysWhere) {
  fake::fail_async(ncclRemoteError);
  const std::string text = error_of([&] { static_cast<void>(protocol()); });
  EXPECT_THAT(text,
              AllOf(HasSubstr(fmt::format("rank {} of {} ({})", world->rank(), world->size(), place(world->rank()))),
                    HasSubstr("start-up"), HasSubstr("ncclCommInitRankConfig"), HasSubstr("network error"),
                    HasSubstr("NCCL_SOCKET_IFNAME is not set"), HasSubstr("NCCL_DEBUG"),
                    HasSubstr(fmt::format("{} -> {}", world->size() - 1, place(world->size() - 1)))));
  EXPECT_EQ(fake::num_alive(), 0);
}

TEST_F(Nccl, StartUpThatIsRefusedHasNothingToAbort) {
  fake::refuse("ncclCommInitRankConfig", ncclInvalidUsage);
  EXPECT_THAT(error_of([&] { static_cast<void>(protocol()); }), HasSubstr("an error of the double"));
  EXPECT_THAT(fake::calls(), Not(Contains("ncclCommAbort")));
  EXPECT_EQ(fake::num_alive(), 0);
}

TEST_F(Nccl, StartUpThatHangsIsGivenUp) {
  fake::stall("ncclCommInitRankConfig");
  auto chosen = options();
  chosen.timeout = std::chrono::milliseconds(200);
  EXPECT_THAT(error_of([&] { static_cast<void>(protocol(chosen)); }),
              HasSubstr("in start-up #1: ncclCommInitRankConfig: not done within 0.2 s"));
  EXPECT_EQ(fake::num_alive(), 0);
  fake::stall("ncclCommInitRankConfig", false);
}

TEST_F(Nccl, TeardownThatHangsIsGivenUp) {
  auto chosen = options();
  chosen.timeout = std::chrono::milliseconds(300);
  auto nccl = protocol(chosen);
  fake::stall("ncclCommFinalize");
  nccl.reset();
  EXPECT_THAT(reported_text(), HasSubstr("in teardown #2: ncclCommFinalize: not done within 0.3 s"));
  EXPECT_THAT(fake::calls(), Contains("ncclCommAbort").Times(1)) << "the other communicator's";
  fake::stall("ncclCommFinalize", false);
  while (fake::num_alive() > 0) {  // the thread that was left to itself
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// A first operation connects the ranks, on the host: the watchdog minds calls that do not return.
TEST_F(Nccl, WatchdogReportsACallThatDoesNotReturn) {
  auto chosen = options(std::chrono::milliseconds(5));
  chosen.timeout = std::chrono::milliseconds(300);
  auto nccl = protocol(chosen);
  std::vector<float> values(5, 1.0F);
  fake::stall("ncclGroupEnd");
  std::thread late([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    fake::stall("ncclGroupEnd", false);
  });
  nccl->sum(std::vector<NcclBuffer>{buffer_of(values, NcclElement::float32)}, caller);
  late.join();
  EXPECT_THAT(reported_text(std::chrono::seconds(0)), HasSubstr("in sum #2 of 20 bytes: not done within 0.3 s"));
  nccl.reset();
}

/// A deterministic run finds the way to sum in its environment before NCCL looks there, unless the user has set one.
TEST_F(Nccl, FindsItsVariablesBeforeItStarts) {
  ::unsetenv("NCCL_ALGO");
  auto chosen = options();
  chosen.variables = {{"NCCL_ALGO", dist::choose_algorithms(true, nullptr, nullptr).value}};
  protocol(chosen).reset();
  EXPECT_THAT(fake::variables(), Contains("NCCL_ALGO=^NVLS,NVLSTree"));
  ::setenv("NCCL_ALGO", "Ring", 1);
  protocol(chosen).reset();
  EXPECT_THAT(fake::variables(), Contains("NCCL_ALGO=Ring"));
  ::unsetenv("NCCL_ALGO");
}

TEST_F(Nccl, AnOlderLibraryThanItsHeaderIsRefused) {
  fake::set_version(22707);
  EXPECT_THAT(error_of([&] { static_cast<void>(protocol()); }),
              AllOf(HasSubstr("NCCL 2.27.7 is loaded ("), HasSubstr("test_nccl"), HasSubstr("compiled with 2.")));
  EXPECT_EQ(fake::num_alive(), 0);
}

TEST_F(Nccl, RefusedCallClosesItsGroupAndAborts) {
  auto nccl = protocol();
  std::vector<float> values(5, 1.0F);
  const std::vector<NcclBuffer> buffers = {buffer_of(values, NcclElement::float32),
                                           buffer_of(values, NcclElement::float32)};
  fake::refuse("ncclAllReduce", ncclInvalidArgument);
  EXPECT_THAT(error_of([&] { nccl->sum(buffers, caller); }), HasSubstr("sum #2 of 40 bytes"));
  EXPECT_THAT(own_calls(), AllOf(Contains("ncclAllReduce").Times(1), Contains("ncclGroupEnd")));
  EXPECT_THAT(error_of([&] { nccl->sum(buffers, caller); }), HasSubstr("NCCL has failed before"));
  EXPECT_THAT(own_calls(), IsEmpty());
  nccl.reset();
  EXPECT_THAT(own_calls(), ElementsAre("ncclCommAbort", "ncclCommAbort"));
  EXPECT_THAT(fake::faults(), IsEmpty());
}

TEST_F(Nccl, AsyncErrorIsThrownByTheNextCall) {
  auto nccl = protocol();
  std::vector<float> values(5, 1.0F);
  const std::vector<NcclBuffer> buffers = {buffer_of(values, NcclElement::float32)};
  nccl->sum(buffers, caller);
  fake::fail_async(ncclRemoteError);
  const std::string text = error_of([&] { nccl->broadcast(buffers[0], caller); });
  EXPECT_THAT(text, AllOf(HasSubstr(fmt::format("rank {} of {}", world->rank(), world->size())),
                          HasSubstr("in sum #2 of 20 bytes"), HasSubstr("remote process exited"),
                          HasSubstr("not seen to end")));
  own_calls();
  nccl.reset();
  EXPECT_THAT(own_calls(), ElementsAre("ncclCommAbort", "ncclCommAbort"));
}

/// The peers may never come to the operations that are in flight: nothing is waited for.
TEST_F(Nccl, AnExceptionThatPassesAborts) {
  std::vector<float> values(5, 1.0F);
  const std::string text = error_of([&] {
    const auto nccl = protocol();
    nccl->sum(std::vector<NcclBuffer>{buffer_of(values, NcclElement::float32)}, caller);
    own_calls();
    fail("something else");
  });
  EXPECT_THAT(text, HasSubstr("something else"));
  EXPECT_THAT(own_calls(), ElementsAre("ncclCommAbort", "ncclCommAbort"));
}

TEST_F(Nccl, WatchdogReportsAnAsyncErrorWhileTheHostIsElsewhere) {
  auto nccl = protocol(options(std::chrono::milliseconds(5)));
  fake::fail_async(ncclRemoteError);
  EXPECT_THAT(reported_text(), AllOf(HasSubstr(fmt::format("rank {} of", world->rank())), HasSubstr("network error")));
  nccl.reset();
  EXPECT_EQ(fake::calls().back(), "ncclCommAbort");
}

TEST_F(Nccl, WatchdogReportsWhatDoesNotEnd) {
  auto chosen = options(std::chrono::milliseconds(5));
  chosen.timeout = std::chrono::milliseconds(300);
  auto nccl = protocol(chosen);
  std::vector<float> values(5, 1.0F);
  const std::vector<NcclBuffer> buffers = {buffer_of(values, NcclElement::float32)};
  nccl->sum(buffers, caller);
  cudaStreamSynchronize(caller);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  fake::stop_device();
  nccl->sum(buffers, caller);
  EXPECT_THAT(reported_text(), AllOf(HasSubstr("in sum #3 of 20 bytes: not done within 0.3 s")));
  nccl.reset();
  EXPECT_EQ(fake::calls().back(), "ncclCommAbort");
}

TEST_F(Nccl, WatchdogIsSilentWhileAllIsWell) {
  auto chosen = options(std::chrono::milliseconds(1));
  chosen.timeout = std::chrono::seconds(2);
  std::vector<float> values(5, 0.0F);  // outlives what the device still has to do when the protocol ends
  {
    const auto nccl = protocol(chosen);
    for (int i = 0; i < 300; ++i) {
      nccl->sum(std::vector<NcclBuffer>{buffer_of(values, NcclElement::float32)}, caller);
      fake::run_device();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  EXPECT_EQ(reported.get_future().wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  EXPECT_THAT(fake::faults(), IsEmpty());
}

/// A mark of the watchdog's on a stream that a CUDA graph records would end the recording.
TEST_F(Nccl, WhileTheStreamIsRecordedTheWatchdogDoesNotTouchIt) {
  const auto nccl = protocol(options(std::chrono::milliseconds(1)));
  std::vector<float> values(5, 1.0F);
  const auto calls_of_watchdog = [] {
    const int before = fake::num_calls_of_others();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return fake::num_calls_of_others() - before;
  };
  nccl->set_capturing(true);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // a look that had begun is over
  nccl->sum(std::vector<NcclBuffer>{buffer_of(values, NcclElement::float32)}, caller);
  EXPECT_EQ(calls_of_watchdog(), 0);
  nccl->set_capturing(false);
  EXPECT_GT(calls_of_watchdog(), 0) << "it looks again";
  cudaStreamSynchronize(caller);
  EXPECT_THAT(fake::faults(), IsEmpty());
}

}  // namespace
}  // namespace xtasc
