#include "launch/bench/contestant.hpp"

#include <ATen/ATen.h>

#include <chrono>
#include <utility>

#include "core/temp_folder.hpp"
#include "gpu/gpu.hpp"
#include "launch/common/noise_pack.hpp"
#include "pack/reader.hpp"
#include "train/draw.hpp"

namespace xtasc::launch {

namespace {

constexpr std::int64_t kEpoch = 3;  ///< late enough for every weighting method to be at work

}  // namespace

void wait_for(at::Device device) {
  if (device.is_cuda()) {
    gpu::synchronize();
  }
}

data::Dataset make_noise_samples(const StepBench& options, const config::RunConfig& config, std::int64_t count,
                                 at::Device device) {
  const TempFolder scratch({}, "xtasc-bench");
  const auto path = scratch.path() / "noise.h5";
  write_noise_pack(path, {.train = count,
                          .val = 1,
                          .num_classes = options.num_classes,
                          .height = options.height,
                          .width = options.width,
                          .has_normals = config::system_of(config.model).has("normals")});
  return {pack::Reader(path), pack::Split::train, 0, device};
}

Contestant::Contestant(const data::Dataset& train, const StepBench& options, const dist::MpiSession& session,
                       config::RunConfig config, std::unique_ptr<dist::Communicator> communicator)
    : train_(train),
      config_(std::move(config)),
      session_(session),
      device_(train.device()),
      communicator_(std::move(communicator)),
      sizes_(options.num_classes, options.height, options.width, config_.train.batch_size),
      learner_(config_, sizes_, device_),
      step_(config_, train::with_random_teachers(learner_, config_, sizes_), *communicator_),
      captured_step_(step_, train::graph_capture_for(config_, device_, *communicator_),
                     [&session](const std::string& text) { return session.gather(text); }),
      clock_(device_) {
  step_.observe([this](train::Phase phase) { clock_.enter(phase); });  // as training does
}

std::vector<data::Batch> Contestant::draw() const {
  const auto order = data::epoch_samples(train_, static_cast<std::uint64_t>(config_.run.seed), kEpoch);
  return train::draw_pieces(config_, learner_.net, train_,
                            {.order = order,
                             .places = {0, config_.train.batch_size},
                             .rank = communicator_->rank(),
                             .num_ranks = communicator_->size(),
                             .epoch = kEpoch,
                             .step = num_steps_});
}

void Contestant::warm_up() {
  const int num_steps = config_.train.cuda_graph ? train::CapturedStep::kPlainSteps + 1 : 1;
  for (int i = 0; i < num_steps; ++i) {
    take_step();
  }
}

void Contestant::step() {
  const weighting::Moment moment = {.epoch = kEpoch, .step = num_steps_};
  clock_.enter(train::Phase::data);
  const std::vector<data::Batch> pieces = draw();
  clock_.leave();
  keep_first(captured_step_.run(pieces, config_.train.batch_size, moment, config_.train.learning_rate).losses);
  clock_.leave();
  ++num_steps_;
  wait_for(device_);
}

void Contestant::plain_step() {
  keep_first(step_.compute(draw(), {.epoch = kEpoch, .step = num_steps_}).losses);
  ++num_steps_;
  step_.update(config_.train.learning_rate);
  wait_for(device_);
}

void Contestant::keep_first(const at::Tensor& losses) {
  if (!first_losses_.defined()) {
    first_losses_ = losses.cpu();
  }
}

double Contestant::take_step() {
  session_.barrier();
  const double seconds = seconds_of([&] { step(); });
  session_.sleeping_barrier();  // ranks without a step of their own disturb nobody
  return slowest(session_, seconds);
}

void Contestant::take_plain_step(const train::PhaseObserver& observer) {
  const train::PhaseObserver usual = step_.observe(observer);
  plain_step();
  step_.observe(usual);
}

std::array<double, train::kPhaseNames.size()> Contestant::take_step_by_phases() {
  using Clock = std::chrono::steady_clock;
  std::array<double, train::kPhaseNames.size()> seconds{};
  session_.barrier();
  auto phase = train::Phase::data;
  auto begin = Clock::now();
  const auto enter = [&](train::Phase next) {
    wait_for(device_);
    const auto now = Clock::now();
    seconds[static_cast<std::size_t>(phase)] += std::chrono::duration<double>(now - begin).count();
    phase = next;
    begin = now;
  };
  take_plain_step(enter);
  enter(phase);
  for (double& one : seconds) {
    one = slowest(session_, one);
  }
  return seconds;
}

std::size_t Contestant::gradient_bytes() const {
  return learner_.net.parameters().flat_gradients().nbytes();
}

}  // namespace xtasc::launch
