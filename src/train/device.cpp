#include "train/device.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/processor.hpp"
#include "dist/communicator.hpp"
#include "dist/numa.hpp"
#include "gpu/gpu.hpp"
#include "train/agreement.hpp"

namespace xtasc::train {

namespace {

/// What each rank sees. Collective.
std::vector<dist::RankGpus> visible_gpus(const dist::MpiSession& session, int num_gpus) {
  dist::RankGpus own{.host = dist::host_name(), .host_leader = session.host_leader(), .gpus = {}};
  const std::set<int> cores = dist::own_cores();
  for (int i = 0; i < num_gpus; ++i) {
    const std::string bus_id = gpu::bus_id(i);
    own.gpus.push_back({bus_id, dist::is_near(bus_id, cores, "/sys")});
  }
  std::vector<dist::RankGpus> all;
  for (const std::string& text : session.gather(own.to_text())) {
    all.push_back(dist::RankGpus::from_text(text));
  }
  return all;
}

/// Ends all ranks alike where one of them has no GPU and may not do without. Collective.
void refuse_without_gpu(const dist::MpiSession& session, config::Device wanted, const gpu::Presence& own,
                        bool others_have) {
  std::string refusal;
  if (own.answer == gpu::Answer::some) {
    // nothing to refuse
  } else if (wanted == config::Device::cuda) {
    refusal =
        fmt::format("run.device = \"cuda\", but no GPU can be used on {}: {}", dist::host_name(), gpu::why_no_gpu(own));
  } else if (gpu::is_a_fault(own) || others_have) {
    refusal = fmt::format("no GPU can be used on {}, although {}: {}", dist::host_name(),
                          others_have               ? "other ranks have one"
                          : own.device_file.empty() ? own.promise
                                                    : own.device_file + " exists",
                          gpu::why_no_gpu(own));
  }
  for (const std::string& text : session.gather(refusal)) {
    if (!text.empty()) {
      fail_usage("{}; to compute on the CPU: --set run.device=cpu", text);
    }
  }
}

void warn_of_shared_gpus(const std::vector<dist::RankGpus>& ranks, const std::vector<int>& chosen) {
  std::map<std::pair<int, std::string>, std::vector<std::size_t>> owners;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const std::string& bus_id = ranks[rank].gpus[static_cast<std::size_t>(chosen[rank])].bus_id;
    owners[{ranks[rank].host_leader, bus_id}].push_back(rank);
  }
  for (const auto& [gpu, sharers] : owners) {
    if (sharers.size() > 1) {
      log_warning("ranks {} SHARE GPU {} of {}: run.share_gpu is for tests only; they talk over sockets, and slowly",
                  fmt::join(sharers, ", "), gpu.second, ranks[sharers.front()].host);
    }
  }
}

at::Device choose_gpu(const config::RunSection& run, const dist::MpiSession& session,
                      const std::vector<dist::RankGpus>& ranks) {
  const dist::GpuSharing sharing = sharing_of(run);
  const std::vector<int> chosen = dist::assign_gpus(ranks, sharing);
  if (sharing == dist::GpuSharing::allowed) {
    warn_of_shared_gpus(ranks, chosen);
  }
  check_agreement(session, nccl_claims(), "start every rank with the same environment");
  const auto mine = static_cast<std::size_t>(session.rank());
  const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(chosen[mine]));
  gpu::make_current(device.index());
  log_warning(
      "the CUDA path compiles and links, but has not been run on a GPU yet: run `xtasc-inspect selftest --device cuda` "
      "on this machine first");
  return device;
}

}  // namespace

dist::GpuSharing sharing_of(const config::RunSection& run) {
  return run.share_gpu ? dist::GpuSharing::allowed : dist::GpuSharing::refused;
}

at::Device choose_device(const config::RunSection& run, const dist::MpiSession& session) {
  if (run.device == config::Device::cpu) {
    return at::kCPU;
  }
  if (!gpu::versions()) {
    if (run.device == config::Device::automatic) {
      return at::kCPU;
    }
    fail_usage(
        "run.device = \"cuda\", but this build has no CUDA: use --set run.device=cpu, or build with nvcc and a CUDA "
        "LibTorch");
  }
  gpu::Presence presence = gpu::presence();
  gpu::look_for_signs(presence, "/", [](const char* name) { return std::getenv(name); });
  const std::vector<dist::RankGpus> ranks = visible_gpus(session, presence.num_gpus);
  const bool some_have = std::ranges::any_of(ranks, [](const auto& rank) { return !rank.gpus.empty(); });
  refuse_without_gpu(session, run.device, presence, some_have);
  if (some_have) {
    return choose_gpu(run, session, ranks);
  }
  if (const auto note = gpu::note_on_cpu(presence)) {
    log_info("{}", *note);
  }
  return at::kCPU;
}

std::string describe_device(at::Device device) {
  if (device.is_cuda()) {
    return fmt::format("{} ({})", device.str(), gpu::name(device.index()));
  }
  return fmt::format("{} ({}, {} thread{})", device.str(), processor_name(), at::get_num_threads(),
                     at::get_num_threads() == 1 ? "" : "s");
}

std::string advice_on_precision(at::DeviceType device, config::Precision precision) {
  if (device != at::kCUDA || precision != config::Precision::fp32) {
    return {};
  }
  return "run.precision = \"fp32\" leaves the GPU's tensor cores idle: bf16 or tf32 would be many times faster "
         "(--set run.precision=bf16; tables say which it was)";
}

}  // namespace xtasc::train
