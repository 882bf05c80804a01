#include "launch/bench/launches.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "config/enums.hpp"
#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "core/text_table.hpp"
#include "launch/bench/contestant.hpp"
#include "launch/bench/counting_communicator.hpp"
#include "launch/bench/executed_work.hpp"
#include "launch/bench/launch_counter.hpp"
#include "net/work.hpp"

namespace xtasc::launch {

namespace {

/// Sums over the ranks in a step.
struct Messages {
  std::int64_t small = 0, large = 0, bytes = 0;
};

struct Counted {
  LaunchCounter::Tallies tallies;
  std::map<std::string, LaunchTally> by_cause;
  std::map<CountedConvolution, LaunchTally> convolutions;
  LaunchTally total;
  Messages messages;
};

Counted count_step(const StepBench& options, const dist::MpiSession& session, const config::RunConfig& config,
                   int num_ranks) {
  constexpr std::int64_t kSmall = 1 << 16;
  const data::Dataset samples = make_noise_samples(options, config, config.train.batch_size, at::kCPU);
  Messages messages;
  LaunchCounter* counter = nullptr;
  const auto tell = [&](std::int64_t bytes) {
    if (counter != nullptr) {
      ++(bytes < kSmall ? messages.small : messages.large);
      messages.bytes += bytes;
      counter->add("sums over ranks", bytes < kSmall ? "small" : "of gradients", {.launches = 1, .bytes = bytes});
    }
  };
  std::unique_ptr<dist::Communicator> communicator = dist::make_solo_communicator();
  if (num_ranks > 1) {
    communicator = std::make_unique<CountingCommunicator>(num_ranks, tell);
  }
  Contestant contestant(samples, options, session, config, std::move(communicator));
  LaunchCounter counting;
  counter = &counting;
  const CudaForms cuda_forms(&counting);
  contestant.take_plain_step([&](train::Phase phase) { counting.enter(phase); });
  return {counting.tallies(), counting.by_cause(), counting.convolutions(), counting.total(), messages};
}

nlohmann::json to_json(const LaunchTally& tally) {
  return {{"launches", tally.launches},
          {"bytes", tally.bytes},
          {"flop", tally.flop},
          {"large_launches", tally.large_launches},
          {"large_bytes", tally.large_bytes}};
}

nlohmann::json to_json(const Counted& counted) {
  nlohmann::json result = {
      {"total", to_json(counted.total)},
      {"messages",
       {{"small", counted.messages.small}, {"large", counted.messages.large}, {"bytes", counted.messages.bytes}}}};
  for (const auto& [cause, tally] : counted.by_cause) {
    result["by_cause"][cause] = to_json(tally);
  }
  return result;
}

/// Every kernel, and every convolution by its shape.
nlohmann::json details_of(const Counted& counted) {
  nlohmann::json kernels, convolutions;
  for (const auto& [key, tally] : counted.tallies) {
    kernels.push_back(to_json(tally));
    kernels.back()["cause"] = key.first;
    kernels.back()["name"] = key.second;
  }
  for (const auto& [shape, tally] : counted.convolutions) {
    convolutions.push_back({{"direction", shape.direction},
                            {"images", shape.images},
                            {"in", shape.in},
                            {"out", shape.out},
                            {"kernel", shape.kernel},
                            {"taps", shape.taps},
                            {"stride", shape.stride},
                            {"height", shape.height},
                            {"width", shape.width},
                            {"launches", tally.launches},
                            {"bytes", tally.bytes},
                            {"flop", tally.flop}});
  }
  return {{"kernels", kernels}, {"convolutions", convolutions}};
}

std::string table_of(const Counted& alone, const Counted& of_two) {
  std::vector<std::pair<std::string, LaunchTally>> causes(alone.by_cause.begin(), alone.by_cause.end());
  for (const auto& [cause, tally] : of_two.by_cause) {
    if (!alone.by_cause.contains(cause)) {
      causes.emplace_back(cause, LaunchTally());
    }
  }
  std::ranges::stable_sort(causes, std::ranges::greater(), [](const auto& one) { return one.second.launches; });
  std::vector<std::vector<std::string>> cells = {{"cause", "launches", "of 2 ranks", "MB moved", "GFLOP"}};
  const auto line = [&](const std::string& name, const LaunchTally& one, std::int64_t ranked) {
    cells.push_back({name, std::to_string(one.launches), std::to_string(ranked),
                     fmt::format("{:.0f}", static_cast<double>(one.bytes) / 1e6),
                     fmt::format("{:.1f}", one.flop / kGiga)});
  };
  for (const auto& [cause, tally] : causes) {
    const auto ranked = of_two.by_cause.find(cause);
    line(cause, tally, ranked == of_two.by_cause.end() ? 0 : ranked->second.launches);
  }
  line("all", alone.total, of_two.total.launches);
  return text_table(cells, 1);
}

nlohmann::json work_json(const StepBench& options, const config::RunConfig& config, const train::Types& types) {
  const auto batch = config.train.batch_size;
  const double plain = net::work_of_image(config, options.height, options.width, options.num_classes).step;
  const CudaForms cuda_forms;
  const ExecutedWork executed = executed_work(
      config, {.images = batch, .height = options.height, .width = options.width, .num_classes = options.num_classes},
      at::kCPU, types.storage, types.compute);
  return {{"plain_flop", 2.0 * static_cast<double>(batch) * plain}, {"executed_flop", 2.0 * executed.total()}};
}

}  // namespace

nlohmann::json bench_launches(const StepBench& options, const dist::MpiSession& session,
                              const config::RunConfig& config) {
  if (session.size() > 1 || config.run.device == config::Device::cuda || options.peer) {
    fail_usage("--launches counts on the CPU, in one process, without a peer");
  }
  train::configure_torch(config, session);
  const Counted alone = count_step(options, session, config, 1);
  const Counted of_two = count_step(options, session, config, 2);
  nlohmann::json result = describe_work(config,
                                        {.num_classes = options.num_classes,
                                         .height = options.height,
                                         .width = options.width,
                                         .batch_size = config.train.batch_size},
                                        session, at::kCPU);
  result["work"] = work_json(options, config, train::types_of(config.run.precision));
  result["launches"] = to_json(alone);
  result["launches"].update(details_of(alone));
  result["launches_of_two_ranks"] = to_json(of_two);
  fmt::print("{} {} {}, {} classes, {} x {}, batch {}: one step in CUDA's forms, counted on the CPU\n\n{}\n",
             config.model.system, config::encoder_of(config.model), config::name(config.run.precision),
             options.num_classes, options.height, options.width, config.train.batch_size, table_of(alone, of_two));
  fmt::print(
      "Nothing here ran on a GPU. A convolution counts as one kernel a direction; cuDNN may launch more for one.\n"
      "Of 2 ranks: what one of them launches for its half of the batch, {} small and {} large sums over the ranks.\n",
      of_two.messages.small, of_two.messages.large);
  return result;
}

}  // namespace xtasc::launch
