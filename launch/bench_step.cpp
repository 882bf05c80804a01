#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <sys/resource.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "config/enums.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "dist/communicator.hpp"
#include "launch/bench_contestant.hpp"
#include "launch/peer_process.hpp"
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

/// The peer's two forms, with one timing each.
class PeerSteps {
 public:
  PeerSteps(const StepBench& options, const config::RunConfig& config)
      : process_("bench_step.py",
                 {"--system", std::string(config::name(config.model.system)), "--encoder",
                  std::string(config::name(config.model.encoder)), "--precision",
                  std::string(config::name(config.run.precision)), "--classes", std::to_string(options.num_classes),
                  "--height", std::to_string(options.height), "--width", std::to_string(options.width), "--batch",
                  std::to_string(config.train.batch_size), "--threads", std::to_string(at::get_num_threads())}) {}

  /// One step of each form. \param own_seconds  of our step in this round
  void take_turn(double own_seconds) {
    for (Form& form : forms_) {
      const nlohmann::json answer = process_.ask(form.name);
      form.step.seconds.push_back(answer.at("seconds").get<double>());
      form.ratio.seconds.push_back(form.step.seconds.back() / own_seconds);
      form.peak_bytes = answer.at("peak_bytes").get<std::int64_t>();
    }
  }

  /// What was measured, printed too.
  [[nodiscard]] nlohmann::json report() const {
    nlohmann::json result = {{"about", nlohmann::json::parse(process_.greeting())}};
    constexpr double kMebibyte = 1024.0 * 1024.0;
    for (const Form& form : forms_) {
      result[form.name] = {
          {"step", to_json(form.step)}, {"ratio", to_json(form.ratio)}, {"peak_bytes", form.peak_bytes}};
      fmt::print(
          "PyTorch, {:<6} {:.3f} s a step ({:.3f} to {:.3f}): {:.2f} times ours ({:.2f} to {:.2f}), {:.0f} MiB\n",
          form.name + ":", form.step.median(), form.step.min(), form.step.max(), form.ratio.median(), form.ratio.min(),
          form.ratio.max(), static_cast<double>(form.peak_bytes) / kMebibyte);
    }
    return result;
  }

 private:
  struct Form {
    std::string name;
    Timing step, ratio;
    std::int64_t peak_bytes = 0;  ///< of the peer's process, with the forms before this one
  };

  PeerProcess process_;
  std::array<Form, 2> forms_ = {Form{"best", {}, {}}, Form{"eager", {}, {}}};
};

}  // namespace

nlohmann::json bench_step(const StepBench& options, const dist::MpiSession& session, const config::RunConfig& config) {
  const at::Device device = train::choose_device(config.run.device, session);
  train::configure_torch(config, session);
  Contestant contestant(options, session, config, device, dist::make_communicator(session, device.type()));
  if (options.peer &&
      (session.size() > 1 || !device.is_cpu() ||
       (config.run.precision != config::Precision::fp32 && config.run.precision != config::Precision::bf16))) {
    fail_usage("--peer compares one rank on the CPU, in fp32 or bf16");
  }
  std::optional<PeerSteps> peer;
  Timing timing;
  contestant.take_step();  // the first one also makes oneDNN's kernels
  for (int round = 0; round < options.rounds; ++round) {
    timing.seconds.push_back(contestant.take_step());
    if (options.peer) {  // taking turns, so that all meet the same disturbances
      if (!peer) {
        peer.emplace(options, config);
      }
      peer->take_turn(timing.seconds.back());
    }
  }
  const double images = static_cast<double>(config.train.batch_size) / timing.median();
  nlohmann::json result = describe(options, session, config, device);
  result["seconds_per_step"] = timing.median();
  result["step"] = to_json(timing);
  result["images_per_second"] = images;
  result["peak_bytes"] = peak_resident_bytes();
  if (session.rank() == 0) {
    fmt::print("{} {} {}, {} classes, {} x {}, batch {}, {} rank{}, {}\n", config::name(config.model.system),
               config::name(config.model.encoder), config::name(config.run.precision), options.num_classes,
               options.height, options.width, config.train.batch_size, session.size(), session.size() == 1 ? "" : "s",
               train::describe_device(device));
    fmt::print("{:.3f} s a step ({:.3f} to {:.3f} in {} steps), {:.2f} images/s\n", timing.median(), timing.min(),
               timing.max(), options.rounds, images);
    fmt::print("{:.0f} MiB resident at most\n", static_cast<double>(peak_resident_bytes()) / (1024.0 * 1024.0));
  }
  if (peer) {
    result["peer"] = peer->report();
  }
  return result;
}

nlohmann::json bench_weighting(const StepBench& options, const dist::MpiSession& session,
                               const config::RunConfig& config) {
  const at::Device device = train::choose_device(config.run.device, session);
  train::configure_torch(config, session);
  std::vector<config::Weighting> methods;
  std::vector<std::unique_ptr<Contestant>> contestants;
  for (std::size_t i = 0; i < config::names<config::Weighting>().size(); ++i) {
    const auto method = static_cast<config::Weighting>(i);
    config::RunConfig with_method = config;
    with_method.weighting = {.method = method};
    methods.push_back(method);
    contestants.push_back(std::make_unique<Contestant>(options, session, with_method, device,
                                                       dist::make_communicator(session, device.type())));
    contestants.back()->take_step();
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
