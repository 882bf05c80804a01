#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#ifdef XTASC_WITH_CUDA
#include <c10/cuda/CUDAFunctions.h>
#endif

#include <sys/resource.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "config/enums.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "data/sampler.hpp"
#include "dist/communicator.hpp"
#include "launch/bench.hpp"
#include "launch/peer_process.hpp"
#include "train/setup.hpp"
#include "train/step.hpp"

namespace xtasc::launch {

namespace {

/// Images of noise, labels with void ones, depth with invalid pixels: this rank's part of the global batch. What is in
/// them does not change the time.
data::Batch noise_batch(const StepBench& options, const config::RunConfig& config, const dist::MpiSession& session,
                        at::Device device) {
  const data::Range mine = data::share_of({0, config.train.batch_size}, session.rank(), session.size());
  const auto floats = at::TensorOptions().dtype(at::kFloat);
  const at::Tensor label =
      at::randint(0, options.num_classes, {mine.size(), options.height, options.width}, floats.dtype(at::kLong));
  const at::Tensor depth = at::rand({mine.size(), 1, options.height, options.width}, floats);
  return {.image_n3hw = at::randn({mine.size(), 3, options.height, options.width}, floats)
                            .to(device)
                            .contiguous(at::MemoryFormat::ChannelsLast),
          .label_nhw = at::where(depth.squeeze(1) < 0.1, at::full({}, 255, label.options()), label).to(device),
          .depth_n1hw = at::where(depth < 0.05, at::zeros({}, floats), depth).to(device)};
}

void wait_for(at::Device device) {
#ifdef XTASC_WITH_CUDA
  if (device.is_cuda()) {
    c10::cuda::device_synchronize();
  }
#else
  static_cast<void>(device);
#endif
}

/// A net of a config with its optimizer and one batch, ready to take steps.
class Contestant {
 public:
  Contestant(const StepBench& options, const dist::MpiSession& session, config::RunConfig config, at::Device device)
      : config_(std::move(config)),
        session_(session),
        device_(device),
        communicator_(dist::make_communicator(session, device.type())),
        learner_(config_, options.num_classes, device),
        step_(config_, learner_, *communicator_),
        batch_(noise_batch(options, config_, session, device)) {}

  /// Seconds of one step, of the slowest rank.
  double take_step() {
    session_.barrier();
    const double seconds = seconds_of([&] {
      const train::StepResult result = step_.compute(batch_, {.epoch = 3, .step = num_steps_++});
      step_.update(config_.train.learning_rate);
      wait_for(device_);
    });
    constexpr double kNanoseconds = 1e9;
    return static_cast<double>(session_.max(static_cast<std::int64_t>(seconds * kNanoseconds))) / kNanoseconds;
  }

 private:
  config::RunConfig config_;
  const dist::MpiSession& session_;
  at::Device device_;
  std::unique_ptr<dist::Communicator> communicator_;
  train::Learner learner_;
  train::Step step_;
  data::Batch batch_;
  std::int64_t num_steps_ = 0;
};

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
  Contestant contestant(options, session, config, device);
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
    contestants.push_back(std::make_unique<Contestant>(options, session, with_method, device));
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
