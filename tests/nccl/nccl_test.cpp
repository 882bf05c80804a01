// The NCCL communicator's protocol on a double of NCCL and CUDA, under mpirun -np 1, 2 and 3.
#include <gmock/gmock.h>

#include <cstdint>
#include <cstdlib>
#include <future>
#include <numeric>
#include <thread>

#include "dist/nccl_protocol.hpp"
#include "mpi/world.hpp"
#include "nccl/nccl_double.hpp"

namespace xtasc {
namespace {

using dist::NcclBuffer;
using dist::NcclElement;
using test::world;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
namespace fake = test::nccl_double;

class Double : public testing::Environment {
 public:
  void SetUp() override { fake::open(); }
  void TearDown() override { fake::close(); }
};
const auto* const registered = testing::AddGlobalTestEnvironment(new Double);

class Nccl : public testing::Test {
 protected:
  void SetUp() override {
    world->barrier();
    fake::reset();
  }

  dist::NcclOptions options(std::chrono::milliseconds watch_interval = std::chrono::seconds(20)) {
    return {.timeout = std::chrono::seconds(10),
            .watch_interval = watch_interval,
            .on_failure = [this](const Error& e) { reported.set_value(e); }};
  }
  std::unique_ptr<dist::NcclProtocol> protocol(const dist::NcclOptions& chosen) {
    return std::make_unique<dist::NcclProtocol>(*world, 0, place(world->rank()), ours, chosen);
  }
  std::unique_ptr<dist::NcclProtocol> protocol() { return protocol(options()); }

  static std::string place(int rank) { return fmt::format("host-{}, GPU 0000:0{}:00.0", rank, rank); }
  /// The calls since it was last asked.
  std::vector<std::string> own_calls() {
    auto all = fake::calls();
    std::vector<std::string> fresh(all.begin() + static_cast<std::ptrdiff_t>(std::min(seen, all.size())), all.end());
    seen = all.size();
    return fresh;
  }
  /// What was thrown, with its details, or "".
  template <typename Call>
  static std::string error_of(const Call& call) {
    try {
      call();
      return "";
    } catch (const Error& error) {
      return fmt::format("{}\n{}", error.what(), fmt::join(error.details(), "\n"));
    }
  }
  std::string reported_text(std::chrono::seconds patience = std::chrono::seconds(5)) {
    auto future = reported.get_future();
    if (future.wait_for(patience) != std::future_status::ready) {
      return "nothing was reported";
    }
    const Error error = future.get();
    return fmt::format("{}\n{}", error.what(), fmt::join(error.details(), "\n"));
  }

  dist::NcclStreams ours = {.prompt = fake::make_stream(), .bulk = fake::make_stream()};
  cudaStream_t caller = fake::make_stream();
  std::size_t seen = 0;
  std::promise<Error> reported;
  const int sum_of_ranks = world->size() * (world->size() + 1) / 2;
};

template <typename T>
NcclBuffer buffer_of(std::vector<T>& values, NcclElement element) {
  return {values.data(), values.size(), element};
}

TEST(Hosts, AreToldApartByTheirFirstRank) {
  EXPECT_EQ(world->local_size(), world->size()) << "this test runs on one machine";
  EXPECT_EQ(world->host_leader(), 0);
}

TEST_F(Nccl, SumsEveryTypeInOneGroup) {
  const auto nccl = protocol();
  const int mine = world->rank() + 1;
  std::vector<float> a(1000, static_cast<float>(mine));
  std::vector<double> b(7, mine);
  std::vector<std::int64_t> c = {mine, std::int64_t{mine} << 40};
  std::vector<float> none;
  const std::vector<NcclBuffer> buffers = {buffer_of(a, NcclElement::float32), buffer_of(b, NcclElement::float64),
                                           buffer_of(c, NcclElement::int64), buffer_of(none, NcclElement::float32)};
  own_calls();
  nccl->sum(buffers, caller);
  EXPECT_THAT(own_calls(), ElementsAre("ncclCommGetAsyncError", "cudaEventRecord", "cudaStreamWaitEvent",
                                       "ncclGroupStart", "ncclAllReduce", "ncclAllReduce", "ncclAllReduce",
                                       "ncclAllReduce", "ncclGroupEnd", "cudaEventRecord", "cudaStreamWaitEvent"));
  cudaStreamSynchronize(caller);
  EXPECT_EQ(a, std::vector<float>(1000, static_cast<float>(sum_of_ranks)));
  EXPECT_EQ(b, std::vector<double>(7, sum_of_ranks));
  EXPECT_EQ(c, (std::vector<std::int64_t>{sum_of_ranks, std::int64_t{sum_of_ranks} << 40}));
  EXPECT_THAT(fake::faults(), IsEmpty());
}

/// What backward does: buckets are started while the caller's stream goes on, and waited for once.
TEST_F(Nccl, StartedSumsLeaveTheCallerAloneUntilJoined) {
  const auto nccl = protocol();
  std::vector<std::vector<float>> buckets(3, std::vector<float>(100, static_cast<float>(world->rank() + 1)));
  own_calls();
  for (auto& bucket : buckets) {
    const NcclBuffer buffer = buffer_of(bucket, NcclElement::float32);
    nccl->start_sum({&buffer, 1}, caller);
    EXPECT_THAT(own_calls(), ElementsAre("ncclCommGetAsyncError", "cudaEventRecord", "cudaStreamWaitEvent",
                                         "ncclGroupStart", "ncclAllReduce", "ncclGroupEnd"));
  }
  nccl->join(caller);
  EXPECT_THAT(own_calls(), ElementsAre("cudaEventRecord", "cudaStreamWaitEvent"));
  cudaStreamSynchronize(caller);
  EXPECT_THAT(buckets, testing::Each(std::vector<float>(100, static_cast<float>(sum_of_ranks))));
  EXPECT_THAT(fake::faults(), IsEmpty());
}

/// What batch norm does in backward, while buckets are on their way.
TEST_F(Nccl, SmallSumsDoNotWaitForBuckets) {
  const auto nccl = protocol();
  const auto mine = static_cast<float>(world->rank() + 1);
  std::vector<float> bucket(100000, mine);
  std::vector<double> small(65, mine);
  const NcclBuffer large = buffer_of(bucket, NcclElement::float32);
  const NcclBuffer norm = buffer_of(small, NcclElement::float64);
  fake::stop_stream(ours.bulk);  // the bucket takes for ever
  nccl->start_sum({&large, 1}, caller);
  nccl->sum({&norm, 1}, caller);
  for (int i = 0; i < 2000 && cudaStreamQuery(caller) == cudaErrorNotReady; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(cudaStreamQuery(caller), cudaSuccess) << "the small sum waits for the bucket";
  EXPECT_EQ(small, std::vector<double>(65, sum_of_ranks));
  EXPECT_EQ(bucket, std::vector<float>(100000, mine)) << "is still in flight";
  fake::stop_stream(ours.bulk, false);
  nccl->join(caller);
  cudaStreamSynchronize(caller);
  EXPECT_EQ(bucket, std::vector<float>(100000, static_cast<float>(sum_of_ranks)));
  EXPECT_THAT(fake::faults(), IsEmpty());
}

/// NCCL's kernels begin in the order of the calls; it must be one order on all ranks, over both communicators.
TEST_F(Nccl, WhatIsSmallAndWaitedForHasAStreamOfItsOwn) {
  const auto nccl = protocol();
  std::vector<float> bucket(30000, 1.0F);
  std::vector<double> small(33, 1.0);
  const NcclBuffer large = buffer_of(bucket, NcclElement::float32);
  const NcclBuffer norm = buffer_of(small, NcclElement::float64);
  nccl->broadcast(norm, caller);
  nccl->sum({&norm, 1}, caller);
  nccl->start_sum({&large, 1}, caller);
  nccl->sum({&norm, 1}, caller);
  nccl->start_sum({&norm, 1}, caller);
  nccl->join(caller);
  nccl->sum({&large, 1}, caller);
  cudaStreamSynchronize(caller);
  const auto bulk = fmt::format("stream {}", fake::stream_number(ours.bulk));
  const auto prompt = fmt::format("stream {}", fake::stream_number(ours.prompt));
  EXPECT_THAT(fake::launches(),
              ElementsAre(bulk + ": copy of 264 bytes", prompt + ": sum of 264 bytes", bulk + ": sum of 120000 bytes",
                          prompt + ": sum of 264 bytes", bulk + ": sum of 264 bytes", bulk + ": sum of 120000 bytes"));
  EXPECT_THAT(world->gather(fmt::format("{}", fmt::join(fake::launches(), "; "))),
              testing::Each(fmt::format("{}", fmt::join(fake::launches(), "; "))));
  EXPECT_THAT(fake::faults(), IsEmpty());
}

/// A non-blocking communicator costs a thread for each group; ours costs none.
TEST_F(Nccl, NoThreadIsStartedForASum) {
  std::vector<float> values(5, 1.0F);
  {
    const auto nccl = protocol();
    const int before = fake::num_threads();
    for (int i = 0; i < 137; ++i) {
      nccl->sum(std::vector<NcclBuffer>{buffer_of(values, NcclElement::float32)}, caller);
    }
    EXPECT_EQ(fake::num_threads(), before);
    cudaStreamSynchronize(caller);
  }
  ncclUniqueId id{};
  ncclGetUniqueId(&id);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t comm = nullptr;
  ASSERT_EQ(ncclCommInitRankConfig(&comm, world->size(), id, world->rank(), &config), ncclSuccess);
  const int before = fake::num_threads();
  ncclGroupStart();
  ncclAllReduce(values.data(), values.data(), 5, ncclFloat32, ncclSum, comm, ours.bulk);
  EXPECT_EQ(ncclGroupEnd(), ncclInProgress);
  EXPECT_EQ(fake::num_threads(), before + 1) << "the double sees them";
  ncclCommAbort(comm);
}

TEST_F(Nccl, BroadcastsRankZeros) {
  const auto nccl = protocol();
  std::vector<double> values(17, world->rank() + 5.0);
  nccl->broadcast(buffer_of(values, NcclElement::float64), caller);
  cudaStreamSynchronize(caller);
  EXPECT_EQ(values, std::vector<double>(17, 5.0));
  EXPECT_THAT(fake::faults(), IsEmpty());
}

/// The caller's stream fills, NCCL sums, the caller's stream uses, many times over the same memory.
TEST_F(Nccl, IsOrderedBetweenTheCallersWork) {
  const auto nccl = protocol();
  std::vector<double> values(64);
  double total = 0.0;
  for (int step = 1; step <= 20; ++step) {
    fake::launch(caller, values.data(), values.size() * 8,
                 [&, step] { std::iota(values.begin(), values.end(), step * (world->rank() + 1.0)); });
    nccl->sum(std::vector<NcclBuffer>{buffer_of(values, NcclElement::float64)}, caller);
    fake::launch(caller, values.data(), values.size() * 8, [&] { total += values[1]; });
  }
  cudaStreamSynchronize(caller);
  fake::host_reads(values.data(), values.size() * 8);
  EXPECT_EQ(total, 210.0 * sum_of_ranks + 20.0 * world->size());
  EXPECT_THAT(fake::faults(), IsEmpty());
}

/// The double's own check fires: the same without events, and a host that does not synchronize.
TEST_F(Nccl, TheDoubleSeesWhatIsNotOrdered) {
  std::vector<double> values(4);
  fake::launch(caller, values.data(), 32, [] {});
  fake::launch(ours.bulk, values.data() + 3, 8, [] {});
  EXPECT_THAT(fake::faults(), ElementsAre(HasSubstr("two streams without an event")));
  fake::reset();
  fake::launch(caller, values.data(), 32, [] {});
  fake::host_reads(values.data(), 8);
  EXPECT_THAT(fake::faults(), ElementsAre(HasSubstr("read by the host")));
  fake::run_device();
}

/// Rank 0's host gets past its sums before any other rank has begun one.
TEST_F(Nccl, SumWaitsForNobody) {
  const auto nccl = protocol();
  std::vector<float> values(5, 1.0F);
  const auto sum_twice = [&] {
    for (int i = 0; i < 2; ++i) {
      nccl->sum(std::vector<NcclBuffer>{buffer_of(values, NcclElement::float32)}, caller);
    }
  };
  if (world->rank() == 0) {
    sum_twice();
    EXPECT_EQ(fake::run_device(), world->size() == 1);
  }
  world->barrier();
  if (world->rank() != 0) {
    sum_twice();
  }
  EXPECT_THAT(fake::calls(), Not(Contains(HasSubstr("Synchronize"))));
  EXPECT_THAT(fake::calls(), Not(Contains(HasSubstr("Query"))));
  cudaStreamSynchronize(caller);
  EXPECT_EQ(values[0], static_cast<float>(world->size() * world->size()));
}

TEST_F(Nccl, StartsAndEndsInOrder) {
  const int before = fake::num_alive();
  std::vector<float> values(5, 1.0F);
  auto nccl = std::make_unique<dist::NcclProtocol>(*world, 0, "here", ours, options());
  auto started = own_calls();
  std::erase(started, "cudaEventCreateWithFlags");
  std::vector<std::string> expected = {"ncclGetVersion", "ncclCommInitRankConfig", "ncclCommInitRankConfig"};
  if (world->rank() == 0) {
    expected.insert(expected.begin() + 1, {"ncclGetUniqueId", "ncclGetUniqueId"});
  }
  EXPECT_EQ(started, expected);
  nccl->sum(std::vector<NcclBuffer>{buffer_of(values, NcclElement::float32)}, caller);
  own_calls();
  nccl.reset();
  auto ended = own_calls();
  ended.erase(std::unique(ended.begin(), ended.end()), ended.end());
  EXPECT_THAT(ended, ElementsAre("cudaStreamQuery", "ncclCommGetAsyncError", "ncclCommFinalize", "ncclCommDestroy",
                                 "ncclCommGetAsyncError", "ncclCommFinalize", "ncclCommDestroy"));
  EXPECT_EQ(values[0], static_cast<float>(world->size()));
  EXPECT_EQ(fake::num_alive(), before);
  EXPECT_THAT(fake::faults(), IsEmpty());
}

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
  nccl->set_recording(true);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // a look that had begun is over
  nccl->sum(std::vector<NcclBuffer>{buffer_of(values, NcclElement::float32)}, caller);
  EXPECT_EQ(calls_of_watchdog(), 0);
  nccl->set_recording(false);
  EXPECT_GT(calls_of_watchdog(), 0) << "it looks again";
  cudaStreamSynchronize(caller);
  EXPECT_THAT(fake::faults(), IsEmpty());
}

}  // namespace
}  // namespace xtasc
