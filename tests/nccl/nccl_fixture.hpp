#pragma once

#include <gmock/gmock.h>

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "dist/nccl/nccl_protocol.hpp"
#include "mpi/world.hpp"
#include "nccl/nccl_double.hpp"

/// What the tests of the NCCL communicator's protocol share.
namespace xtasc {

using dist::NcclBuffer;
using dist::NcclElement;
using test::world;
namespace fake = test::nccl_double;

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

}  // namespace xtasc
