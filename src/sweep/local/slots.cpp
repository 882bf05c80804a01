#include "sweep/local/slots.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string_view>

namespace fs = std::filesystem;

namespace xtasc::sweep {

namespace {

/// The share of slot `index` of `jobs`: a piece, or a single one shared with others where there are too few.
template <typename Item>
std::vector<Item> share(const std::vector<Item>& items, std::size_t index, std::size_t jobs) {
  if (items.empty()) {
    return {};
  }
  if (jobs > items.size()) {
    return {items[index % items.size()]};
  }
  const auto at = [&](std::size_t i) { return items.begin() + static_cast<std::ptrdiff_t>(i * items.size() / jobs); };
  return {at(index), at(index + 1)};
}

}  // namespace

std::vector<Slot> divide(const std::vector<int>& cores, const std::vector<std::string>& gpus, std::int64_t jobs) {
  std::vector<Slot> slots;
  const auto count = static_cast<std::size_t>(jobs);
  for (std::size_t i = 0; i < count; ++i) {
    slots.push_back({.cores = share(cores, i, count), .gpus = share(gpus, i, count)});
  }
  return slots;
}

std::vector<std::string> visible_gpus(const fs::path& devices) {
  std::vector<std::string> gpus;
  if (const char* given = std::getenv("CUDA_VISIBLE_DEVICES")) {
    std::istringstream stream{std::string(given)};
    for (std::string gpu; std::getline(stream, gpu, ',') && !gpu.empty() && gpu.front() != '-';) {
      gpus.push_back(gpu);
    }
    return gpus;
  }
  // A container may have nvidia3 alone; CUDA counts what is there from 0.
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(devices, ignored)) {
    const std::string name = entry.path().filename().string();
    constexpr std::string_view kPrefix = "nvidia";
    if (name.starts_with(kPrefix) && name.size() > kPrefix.size() &&
        name.find_first_not_of("0123456789", kPrefix.size()) == std::string::npos) {
      gpus.push_back(fmt::format("{}", gpus.size()));
    }
  }
  return gpus;
}

Slot slot_for(const config::RunConfig& config, Slot slot) {
  if (config.run.device == config::Device::cpu) {
    slot.gpus.clear();
  }
  return slot;
}

std::int64_t ranks_in(const Slot& slot, const RanksWish& wish, const config::RunConfig& config) {
  if (wish.number != kAutoRanks) {
    return wish.number;
  }
  const auto places = static_cast<std::int64_t>(slot.gpus.empty() ? slot.cores.size() : slot.gpus.size());
  const std::int64_t most = wish.most > 0 ? wish.most : places;
  return std::max<std::int64_t>(1, std::min({places, most, config.train.batch_size}));
}

std::vector<std::string> launcher(const Slot& slot, std::int64_t ranks, bool is_alone) {
  std::vector<std::string> command = {"mpirun", "--quiet", "-np", fmt::format("{}", ranks)};
  const bool is_bound = is_alone && slot.gpus.empty() && static_cast<std::int64_t>(slot.cores.size()) == ranks;
  for (const char* word : is_bound ? std::vector<const char*>{"--bind-to", "core", "--map-by", "core"}
                                   : std::vector<const char*>{"--bind-to", "none", "--oversubscribe"}) {
    command.emplace_back(word);
  }
  return command;
}

std::vector<std::pair<std::string, std::string>> environment(const Slot& slot, std::int64_t ranks) {
  const auto threads = std::max<std::int64_t>(1, static_cast<std::int64_t>(slot.cores.size()) / ranks);
  std::vector<std::pair<std::string, std::string>> variables = {{"OMP_NUM_THREADS", fmt::format("{}", threads)}};
  if (::geteuid() == 0) {  // as in a container
    variables.emplace_back("OMPI_ALLOW_RUN_AS_ROOT", "1");
    variables.emplace_back("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
  }
  if (!slot.gpus.empty()) {
    variables.emplace_back("CUDA_VISIBLE_DEVICES", fmt::format("{}", fmt::join(slot.gpus, ",")));
  }
  return variables;
}

}  // namespace xtasc::sweep
