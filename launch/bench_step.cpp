#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <sys/resource.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "config/enums.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "dist/communicator.hpp"
#include "launch/bench_contestant.hpp"
#include "launch/bench_phases.hpp"
#include "launch/peer_steps.hpp"
#include "train/setup.hpp"

namespace xtasc::launch {

namespace {

nlohmann::json describe(const StepBench& options, const dist::MpiSession& session, const config::RunConfig& config,
                        at::Device device) {
  return {{"system", config::name(config.model.system)},
          {"encoder", config::name(config.model.encoder)},
          {"precision", config::name(config.run.precision)},
          {"classes", options.num_classes},
          {"height", options.height},
          {"width", options.width},
          {"batch_size", config.train.batch_size},
          {"ranks", session.size()},
          {"threads_a_rank", at::get_num_threads()},
          {"device", train::describe_device(device)}};
}

std::int64_t peak_resident_bytes() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

}  // namespace

nlohmann::json bench_step(const StepBench& options, const dist::MpiSession& session, const config::RunConfig& config) {
  const at::Device device = train::choose_device(config.run.device, session);
  train::configure_torch(config, session);
  if (options.peer &&
      (session.size() > 1 || !device.is_cpu() ||
       (config.run.precision != config::Precision::fp32 && config.run.precision != config::Precision::bf16))) {
    fail_usage("--peer compares one rank on the CPU, in fp32 or bf16");
  }
  const data::Dataset samples = make_noise_samples(options, config.train.batch_size, device);
  Contestant contestant(samples, options, session, config, dist::make_communicator(session, device.type()));
  std::optional<PeerSteps> peer;
  if (options.peer) {
    peer.emplace(options, config, contestant);
  }
  contestant.warm_up();
  const at::Tensor first_losses = contestant.losses().cpu();
  Timing timing;
  for (int round = 0; round < options.rounds; ++round) {
    timing.seconds.push_back(contestant.take_step());
    if (peer) {  // taking turns, so that all meet the same disturbances
      peer->take_turn(timing.seconds.back());
    }
  }
  const PhaseTable phases(contestant, options, session, config, device);

  const double images = static_cast<double>(config.train.batch_size) / timing.median();
  nlohmann::json result = describe(options, session, config, device);
  result["seconds_per_step"] = timing.median();
  result["step"] = to_json(timing);
  result["images_per_second"] = images;
  result["cuda_graph"] = contestant.is_recorded();
  result["peak_bytes"] = peak_resident_bytes();
  result["phases"] = phases.json();
  if (session.rank() == 0) {
    fmt::print("{} {} {}, {} classes, {} x {}, batch {}, {} rank{}, {}\n", config::name(config.model.system),
               config::name(config.model.encoder), config::name(config.run.precision), options.num_classes,
               options.height, options.width, config.train.batch_size, session.size(), session.size() == 1 ? "" : "s",
               train::describe_device(device));
    fmt::print("{:.3f} s a step ({:.3f} to {:.3f} in {} steps), {:.2f} images/s\n", timing.median(), timing.min(),
               timing.max(), options.rounds, images);
    fmt::print("{:.0f} MiB resident at most\n\n{}", static_cast<double>(peak_resident_bytes()) / (1024.0 * 1024.0),
               phases.text());
  }
  if (peer) {
    result["peer"] = peer->report(first_losses);
  }
  return result;
}

nlohmann::json bench_weighting(const StepBench& options, const dist::MpiSession& session,
                               const config::RunConfig& config) {
  const at::Device device = train::choose_device(config.run.device, session);
  train::configure_torch(config, session);
  const data::Dataset samples = make_noise_samples(options, config.train.batch_size, device);
  std::vector<config::Weighting> methods;
  std::vector<std::unique_ptr<Contestant>> contestants;
  for (std::size_t i = 0; i < config::names<config::Weighting>().size(); ++i) {
    const auto method = static_cast<config::Weighting>(i);
    config::RunConfig with_method = config;
    with_method.weighting = {.method = method};
    methods.push_back(method);
    contestants.push_back(std::make_unique<Contestant>(samples, options, session, with_method,
                                                       dist::make_communicator(session, device.type())));
    contestants.back()->warm_up();
  }
  std::vector<Timing> timings(methods.size());
  for (int round = 0; round < options.rounds; ++round) {  // alternately, so that all meet the same disturbances
    for (std::size_t i = 0; i < methods.size(); ++i) {
      timings[i].seconds.push_back(contestants[i]->take_step());
    }
  }
  nlohmann::json result = describe(options, session, config, device);
  if (session.rank() == 0) {
    fmt::print("{:<14} {:>10} {:>21} {:>10}\n", "method", "s a step", "", "to equal");
  }
  for (std::size_t i = 0; i < methods.size(); ++i) {
    const double ratio = timings[i].median() / timings.front().median();
    result["methods"][std::string(config::name(methods[i]))] = {{"step", to_json(timings[i])},
                                                                {"ratio_to_equal", ratio}};
    if (session.rank() == 0) {
      fmt::print("{:<14} {:>10.3f} ({:>8.3f} to {:>8.3f}) {:>10.2f}\n", config::name(methods[i]), timings[i].median(),
                 timings[i].min(), timings[i].max(), ratio);
    }
  }
  return result;
}

}  // namespace xtasc::launch
