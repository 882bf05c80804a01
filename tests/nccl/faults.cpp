// A program whose ranks train nothing: they sum, and one of them meets with the fault that --fault names.
// faults_test.py looks at how it ends. Errors take the way that they take in xtasc-train.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "core/signals.hpp"
#include "dist/nccl/nccl_protocol.hpp"
#include "launch/common/rank_errors.hpp"
#include "nccl/nccl_double.hpp"

namespace {

using namespace xtasc;
namespace fake = test::nccl_double;

ExitCode run(const dist::MpiSession& session, const std::string& fault, double timeout_seconds) {
  fake::open();
  const bool is_hit = session.rank() == session.size() - 1;
  if (is_hit && fault == "absent") {
    // Comes as far as NCCL's id, but not to NCCL.
    const dist::HostBoard board(session, fmt::format("{}, GPU {}", dist::host_name(), session.rank()));
    static_cast<void>(session.broadcast(""));
    std::this_thread::sleep_for(std::chrono::seconds(60));
  }
  dist::NcclOptions options;
  options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(timeout_seconds * 1000.0));
  options.watch_interval = std::chrono::milliseconds(50);
  options.on_failure = [&session](const Error& error) { dist::end_all_ranks(session, error); };
  const dist::NcclStreams ours = {.prompt = fake::make_stream(), .bulk = fake::make_stream()};
  cudaStream_t caller = fake::make_stream();
  std::vector<float> values(1024, 1.0F);
  {
    dist::NcclProtocol nccl(session, 0, fmt::format("{}, GPU {}", dist::host_name(), session.rank()), ours, options);
    const std::vector<dist::NcclBuffer> buffers = {{values.data(), values.size(), dist::NcclElement::float32}};
    for (int step = 1; step <= 5; ++step) {
      if (is_hit && step == 4) {
        if (fault == "stop") {
          raise(SIGSTOP);
        } else if (fault == "kill") {
          raise(SIGKILL);
        } else if (fault == "throw") {
          fail("the disk is full");
        } else if (fault == "async") {
          fake::fail_async(ncclRemoteError);
        } else if (fault == "async-elsewhere") {
          fake::fail_async(ncclRemoteError);
          std::this_thread::sleep_for(std::chrono::seconds(60));
        } else if (fault == "leave") {
          break;
        }
      }
      nccl.sum(buffers, caller);
      cudaStreamSynchronize(caller);
    }
  }
  fake::close();
  return ExitCode::success;
}

}  // namespace

int main(int argc, char** argv) {
  install_stop_handlers();
  CLI::App app("Meets with a fault", "nccl-faults");
  std::string fault;
  double timeout_seconds = 0.0;
  app.add_option("--fault", fault)->required();
  app.add_option("--timeout", timeout_seconds)->required();
  std::optional<dist::MpiSession> session;
  return run_program(
      app, argc, argv,
      [&] {
        session.emplace(&argc, &argv);
        return run(*session, fault, timeout_seconds);
      },
      launch::rank_error_hooks(session));
}
