#include "dist/gpu_assignment.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <sstream>

#include "core/error.hpp"

namespace xtasc::dist {

namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

std::string gpu_text(const RankGpus& rank, std::size_t index) {
  return index == kNone ? "none left" : fmt::format("cuda:{} ({})", index, rank.bus_ids[index]);
}

std::vector<std::string> table(const std::vector<RankGpus>& ranks, const std::vector<std::size_t>& chosen) {
  std::vector<std::string> lines;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    lines.push_back(fmt::format("rank {} -> {} -> {} of {} visible", rank, ranks[rank].host,
                                gpu_text(ranks[rank], chosen[rank]), ranks[rank].bus_ids.size()));
  }
  return lines;
}

}  // namespace

std::string RankGpus::to_text() const {
  return fmt::format("{} {}", host, fmt::join(bus_ids, " "));
}

RankGpus RankGpus::from_text(const std::string& text) {
  std::istringstream words(text);
  RankGpus rank;
  words >> rank.host;
  for (std::string word; words >> word;) {
    rank.bus_ids.push_back(word);
  }
  return rank;
}

std::vector<int> assign_gpus(const std::vector<RankGpus>& ranks) {
  // Ranks that see the very same list share it; the n-th of them takes the n-th GPU.
  std::map<std::pair<std::string, std::vector<std::string>>, std::size_t> num_takers;
  std::map<std::pair<std::string, std::string>, std::size_t> owner;
  std::vector<std::size_t> chosen;
  std::string fault;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const auto& [host, bus_ids] = ranks[rank];
    const std::size_t index = num_takers[{host, bus_ids}]++;
    if (index >= bus_ids.size()) {
      chosen.push_back(kNone);
      fault = fault.empty() ? fmt::format("rank {} finds no GPU left on {}", rank, host) : fault;
      continue;
    }
    chosen.push_back(index);
    const auto [first, is_new] = owner.emplace(std::pair(host, bus_ids[index]), rank);
    if (!is_new && fault.empty()) {
      fault = fmt::format("ranks {} and {} would share GPU {} of {}", first->second, rank, bus_ids[index], host);
    }
  }
  if (!fault.empty()) {
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
