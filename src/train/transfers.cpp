#include "train/transfers.hpp"

#include <algorithm>
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

std::vector<std::int64_t> images_of_terms(const config::RunConfig& config, const loss::Objective& objective,
                                          const std::vector<model::Transfer>& transfers, std::int64_t first_step,
                                          const std::vector<std::int64_t>& images_of_steps) {
  std::vector<std::int64_t> images(objective.terms().size(), 0);
  for (std::size_t step = 0; step < images_of_steps.size(); ++step) {
    const auto is_drawn = transfers_of_step(config, transfers, first_step + static_cast<std::int64_t>(step));
    for (std::size_t k = 0; k < images.size(); ++k) {
      const auto transfer = std::ranges::find(transfers, objective.terms()[k].name, &model::Transfer::name);
      const auto index = static_cast<std::size_t>(transfer - transfers.begin());
      const bool is_in = is_drawn.empty() || transfer == transfers.end() || is_drawn[index];
      images[k] += is_in ? images_of_steps[step] : 0;
    }
  }
  return images;
}

}  // namespace xtasc::train
