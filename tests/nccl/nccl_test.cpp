// The NCCL communicator's protocol on a double of NCCL and CUDA, under mpirun -np 1, 2 and 3.
#include <gmock/gmock.h>

#include <cstdint>
#include <numeric>
#include <thread>

#include "nccl/nccl_fixture.hpp"

namespace xtasc {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Double : public testing::Environment {
 public:
  void SetUp() override { fake::open(); }
  void TearDown() override { fake::close(); }
};
const auto* const registered = testing::AddGlobalTestEnvironment(new Double);

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

}  // namespace
}  // namespace xtasc
