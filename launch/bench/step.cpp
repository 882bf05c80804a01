#include <ATen/ATen.h>
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "config/enums.hpp"
#include "config/methods.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/text_table.hpp"
#include "dist/communicator.hpp"
#include "launch/bench/contestant.hpp"
#include "launch/bench/peer_config.hpp"
#include "launch/bench/peer_steps.hpp"
#include "launch/bench/phases.hpp"
#include "train/peak_memory.hpp"
#include "train/setup.hpp"

namespace xtasc::launch {

namespace {

WorkSize size_of(const StepBench& options, const config::RunConfig& config) {
  return {.num_classes = options.num_classes,
          .height = options.height,
          .width = options.width,
          .batch_size = config.train.batch_size};
}

/// \throws Error (exit code 2) unless the peer would do the same work
void check_peer_can(const dist::MpiSession& session, const config::RunConfig& config, at::Device device) {
  using config::Precision;
  const Precision precision = config.run.precision;
  const bool has_precision = precision == Precision::fp32 || precision == Precision::bf16 ||
                             (device.is_cuda() && precision == Precision::tf32);
  if (session.size() > 1 || !has_precision || (config.train.cuda_graph && !device.is_cuda())) {
    fail_usage("--peer compares one rank, in fp32 or bf16; tf32 and train.cuda_graph on CUDA only");
  }
  const std::vector<std::string> others = not_followed_by_peer(config);
  if (!others.empty()) {
    fail_usage("--peer would compare different work, since the peer does not follow {}", fmt::join(others, ", "));
  }
}

std::string memory_text(std::int64_t resident, const std::optional<gpu::Memory>& on_device) {
  constexpr double kMebibyte = 1024.0 * 1024.0;
  std::string text = fmt::format("{:.0f} MiB resident at most", static_cast<double>(resident) / kMebibyte);
  if (on_device) {
    text += fmt::format("; on the device {:.0f} MiB allocated, {:.0f} MiB reserved at most",
                        static_cast<double>(on_device->peak_allocated) / kMebibyte,
                        static_cast<double>(on_device->peak_reserved) / kMebibyte);
  }
  return text;
}

}  // namespace

nlohmann::json bench_step(const StepBench& options, const dist::MpiSession& session, const config::RunConfig& config) {
  const at::Device device = train::choose_device(config.run, session);
  train::configure_torch(config, session);
  if (options.peer) {
    check_peer_can(session, config, device);
  }
  const data::Dataset samples = make_noise_samples(options, config, config.train.batch_size, device);
  Contestant contestant(samples, options, session, config,
                        dist::make_communicator(session, device.type(), train::sharing_of(config.run)));
  std::optional<PeerSteps> peer;
  if (options.peer) {
    peer.emplace(options, config, contestant, device);
  }
  contestant.warm_up();
  Timing timing;
  for (int round = 0; round < options.rounds; ++round) {
    timing.seconds.push_back(contestant.take_step());
    if (peer) {  // taking turns, so that all meet the same disturbances
      peer->take_turn(timing.seconds.back());
    }
  }
  const std::int64_t resident = session.max(train::peak_resident_bytes());
  const std::optional<gpu::Memory> on_device = train::device_memory(device);
  const PhaseTable phases(contestant, options, session, config, device);

  const double images = static_cast<double>(config.train.batch_size) / timing.median();
  nlohmann::json result = describe_work(config, size_of(options, config), session, device);
  result["seconds_per_step"] = timing.median();
  result["step"] = to_json(timing);
  result["images_per_second"] = images;
  result["peak_bytes"] = resident;
  if (on_device) {
    result["device_peak_allocated_bytes"] = on_device->peak_allocated;
    result["device_peak_reserved_bytes"] = on_device->peak_reserved;
  }
  const at::Tensor first_losses = contestant.first_losses().to(at::kDouble).contiguous();
  const auto* first = first_losses.const_data_ptr<double>();
  result["first_losses"] = std::vector<double>(first, first + first_losses.numel());
  result["cuda_graph"] = contestant.is_captured();
  result["phases"] = phases.json();
  if (session.rank() == 0) {
    fmt::print("{} {} {}, {} classes, {} x {}, batch {}, {} rank{}, {}\n", config.model.system,
               config::encoder_of(config.model), config::name(config.run.precision), options.num_classes,
               options.height, options.width, config.train.batch_size, session.size(), session.size() == 1 ? "" : "s",
               train::describe_device(device));
    fmt::print("{:.3f} s a step ({:.3f} to {:.3f} in {} steps), {:.2f} images/s\n", timing.median(), timing.min(),
               timing.max(), options.rounds, images);
    fmt::print("{}\n\n{}", memory_text(resident, on_device), phases.text());
  }
  if (peer) {
    result["peer"] = peer->report(first_losses, on_device ? on_device->peak_allocated : resident);
  }
  return result;
}

nlohmann::json bench_weighting(const StepBench& options, const dist::MpiSession& session,
                               const config::RunConfig& config) {
  const at::Device device = train::choose_device(config.run, session);
  train::configure_torch(config, session);
  const data::Dataset samples = make_noise_samples(options, config, config.train.batch_size, device);
  const std::vector<config::Method>& methods = config::methods();
  std::vector<std::unique_ptr<Contestant>> contestants;
  for (const config::Method& method : methods) {
    config::RunConfig with_method = config;
    with_method.weighting = config::default_weighting(method.word);
    if (with_method.weighting.learning_rate == 0.0) {
      with_method.weighting.learning_rate = method.learning_rate;
    }
    contestants.push_back(
        std::make_unique<Contestant>(samples, options, session, with_method,
                                     dist::make_communicator(session, device.type(), train::sharing_of(config.run))));
    contestants.back()->warm_up();
  }
  std::vector<Timing> timings(methods.size());
  for (int round = 0; round < options.rounds; ++round) {  // alternately, so that all meet the same disturbances
    for (std::size_t i = 0; i < methods.size(); ++i) {
      timings[i].seconds.push_back(contestants[i]->take_step());
    }
  }
  nlohmann::json result = describe_work(config, size_of(options, config), session, device);
  result.erase("weighting");  // all of them
  std::vector<std::vector<std::string>> cells = {{"method", "s a step", "", "to equal"}};
  for (std::size_t i = 0; i < methods.size(); ++i) {
    const double ratio = timings[i].median() / timings.front().median();
    result["methods"][std::string(methods[i].word)] = {{"step", to_json(timings[i])}, {"ratio_to_equal", ratio}};
    cells.push_back({std::string(methods[i].word), fmt::format("{:.3f}", timings[i].median()),
                     fmt::format("({:.3f} to {:.3f})", timings[i].min(), timings[i].max()),
                     fmt::format("{:.2f}", ratio)});
  }
  if (session.rank() == 0) {
    fmt::print("{}", text_table(cells, 1));
  }
  return result;
}

}  // namespace xtasc::launch
