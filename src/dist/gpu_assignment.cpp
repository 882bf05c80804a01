#include "dist/gpu_assignment.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <sstream>
#include <tuple>

#include "core/error.hpp"

namespace xtasc::dist {

namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);
constexpr std::string_view kFar = "far:";

std::string gpu_text(const RankGpus& rank, std::size_t index) {
  return index == kNone ? "none left" : fmt::format("cuda:{} ({})", index, rank.gpus[index].bus_id);
}

std::vector<std::string> table(const std::vector<RankGpus>& ranks, const std::vector<std::size_t>& chosen) {
  std::vector<std::string> lines;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    lines.push_back(fmt::format("rank {} -> {} -> {} of {} visible", rank, ranks[rank].host,
                                gpu_text(ranks[rank], chosen[rank]), ranks[rank].gpus.size()));
  }
  return lines;
}

std::vector<std::string> bus_ids(const RankGpus& rank) {
  std::vector<std::string> ids;
  for (const VisibleGpu& gpu : rank.gpus) {
    ids.push_back(gpu.bus_id);
  }
  return ids;
}

/// Shares the GPUs of one list out among those that see it. Who has fewest near GPUs to choose from chooses first.
/// \param takers  ranks, in order \param capacity  ranks that one GPU may get
void share_out(const std::vector<RankGpus>& ranks, std::vector<std::size_t> takers, std::size_t capacity,
               std::vector<std::size_t>& chosen) {
  const auto num_near = [&](std::size_t rank) { return std::ranges::count_if(ranks[rank].gpus, &VisibleGpu::is_near); };
  std::vector<std::size_t> num_owners(ranks[takers.front()].gpus.size(), 0);
  const auto take = [&](std::size_t rank, bool wants_near) {
    for (std::size_t gpu = 0; gpu < num_owners.size() && chosen[rank] == kNone; ++gpu) {
      if (num_owners[gpu] < capacity && (!wants_near || ranks[rank].gpus[gpu].is_near)) {
        chosen[rank] = gpu;
        ++num_owners[gpu];
      }
    }
  };
  std::ranges::stable_sort(takers, {}, num_near);
  for (const bool wants_near : {true, false}) {
    for (const std::size_t rank : takers) {
      take(rank, wants_near);
    }
  }
}

/// What is wrong with the choice; empty: nothing.
std::string fault_of(const std::vector<RankGpus>& ranks, const std::vector<std::size_t>& chosen, GpuSharing sharing) {
  std::map<std::pair<int, std::string>, std::size_t> owner;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    if (chosen[rank] == kNone) {
      return fmt::format("rank {} finds no GPU left on {}", rank, ranks[rank].host);
    }
    const std::string& bus_id = ranks[rank].gpus[chosen[rank]].bus_id;
    const auto [first, is_new] = owner.emplace(std::pair(ranks[rank].host_leader, bus_id), rank);
    if (!is_new && sharing == GpuSharing::refused) {
      return fmt::format("ranks {} and {} would share GPU {} of {}", first->second, rank, bus_id, ranks[rank].host);
    }
  }
  return {};
}

}  // namespace

std::string RankGpus::to_text() const {
  std::string text = fmt::format("{} {}", host, host_leader);
  for (const VisibleGpu& gpu : gpus) {
    text += fmt::format(" {}{}", gpu.is_near ? "" : kFar, gpu.bus_id);
  }
  return text;
}

RankGpus RankGpus::from_text(const std::string& text) {
  std::istringstream words(text);
  RankGpus rank;
  words >> rank.host >> rank.host_leader;
  for (std::string word; words >> word;) {
    const bool is_far = word.starts_with(kFar);
    rank.gpus.push_back({is_far ? word.substr(kFar.size()) : word, !is_far});
  }
  return rank;
}

std::vector<int> assign_gpus(const std::vector<RankGpus>& ranks, GpuSharing sharing) {
  std::map<std::pair<int, std::vector<std::string>>, std::vector<std::size_t>> takers_of_list;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    takers_of_list[{ranks[rank].host_leader, bus_ids(ranks[rank])}].push_back(rank);
  }
  std::vector<std::size_t> chosen(ranks.size(), kNone);
  for (const auto& [list, takers] : takers_of_list) {
    const std::size_t num_gpus = std::max<std::size_t>(1, list.second.size());
    const std::size_t needed = (takers.size() + num_gpus - 1) / num_gpus;
    share_out(ranks, takers, sharing == GpuSharing::allowed ? needed : 1, chosen);
  }
  if (const std::string fault = fault_of(ranks, chosen, sharing); !fault.empty()) {
    throw Error(fault +
                    ": start one rank for each GPU (mpirun -np, srun --ntasks-per-node), and check "
                    "CUDA_VISIBLE_DEVICES",
                ExitCode::usage, table(ranks, chosen));
  }
  std::vector<int> indices;
  std::transform(chosen.begin(), chosen.end(), std::back_inserter(indices),
                 [](std::size_t index) { return static_cast<int>(index); });
  return indices;
}

}  // namespace xtasc::dist
