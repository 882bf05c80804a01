#include "train/transfers.hpp"

#include <map>
#include <string>

#include "core/random.hpp"

namespace xtasc::train {

bool draws_transfers(const config::RunConfig& config) {
  return config.model.transfer == config::TransferScheme::sample;
}

std::vector<bool> transfers_of_step(const config::RunConfig& config, const std::vector<model::Transfer>& transfers,
                                    std::int64_t step) {
  if (!draws_transfers(config)) {
    return {};
  }
  std::map<std::string, std::vector<std::size_t>> by_task;
  for (std::size_t i = 0; i < transfers.size(); ++i) {
    by_task[transfers[i].from].push_back(i);
  }
  std::vector<bool> is_drawn(transfers.size(), false);
  for (auto& [task, left] : by_task) {
    RandomStream stream(static_cast<std::uint64_t>(config.run.seed), Purpose::transfers,
                        static_cast<std::uint64_t>(step), hash_name(task));
    for (std::int64_t k = 0; k < config.model.transfers_per_task && !left.empty(); ++k) {
      const auto drawn = left.begin() + static_cast<std::ptrdiff_t>(stream.below(left.size()));
      is_drawn[*drawn] = true;
      left.erase(drawn);
    }
  }
  return is_drawn;
}

}  // namespace xtasc::train
