#include "launch/bench_contestant.hpp"

#include <ATen/ATen.h>
#ifdef XTASC_WITH_CUDA
#include <c10/cuda/CUDAFunctions.h>
#endif

#include <utility>

#include "data/sampler.hpp"

namespace xtasc::launch {

namespace {

/// Images of noise, labels with void ones, depth with invalid pixels: this rank's part of the global batch. What is in
/// them does not change the time.
data::Batch noise_batch(const StepBench& options, const config::RunConfig& config, const dist::Communicator& world,
                        at::Device device) {
  const data::Range mine = data::share_of({0, config.train.batch_size}, world.rank(), world.size());
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

}  // namespace

void wait_for(at::Device device) {
#ifdef XTASC_WITH_CUDA
  if (device.is_cuda()) {
    c10::cuda::device_synchronize();
  }
#else
  static_cast<void>(device);
#endif
}

Contestant::Contestant(const StepBench& options, const dist::MpiSession& session, config::RunConfig config,
                       at::Device device, std::unique_ptr<dist::Communicator> communicator)
    : config_(std::move(config)),
      session_(session),
      device_(device),
      communicator_(std::move(communicator)),
      learner_(config_, options.num_classes, device),
      step_(config_, learner_, *communicator_),
      batch_(noise_batch(options, config_, *communicator_, device)) {}

double Contestant::take_step() {
  session_.barrier();
  const double seconds = seconds_of([&] {
    const train::StepResult result = step_.compute(batch_, {.epoch = 3, .step = num_steps_++});
    step_.update(config_.train.learning_rate);
    wait_for(device_);
  });
  return slowest(session_, seconds);
}

std::size_t Contestant::gradient_bytes() const {
  return learner_.net.parameters().flat_gradients().nbytes();
}

}  // namespace xtasc::launch
