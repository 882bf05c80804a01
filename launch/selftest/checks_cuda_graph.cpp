#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.hpp"
#include "core/temp_folder.hpp"
#include "gpu/gpu.hpp"
#include "launch/common/noise_pack.hpp"
#include "launch/selftest/checks.hpp"
#include "launch/selftest/trial.hpp"
#include "pack/reader.hpp"
#include "train/captured_step.hpp"

namespace xtasc::launch {

namespace {

using config::Precision;

/// Steps of all ranks over the device's own communicator, with a smaller last batch and a rate that falls, as in
/// training. Collective.
Finding captured_steps_are_right(const Machine& machine, Precision precision) {
  if (!machine.device.is_cuda() || !machine.world) {
    return skipped(machine.world ? "device is cpu" : "the device's communicator did not start");
  }
  constexpr std::uint64_t kSteps = 14;
  const std::int64_t large = machine.session.size() + 2, small = machine.session.size();
  std::size_t num_captured = 0;
  const auto trained = [&](bool captures) {
    Trial trial(precision, machine.device, *machine.world);
    train::CapturedStep step(trial.step,
                             captures ? train::cuda_graph_captures(*machine.world) : train::MakeGraphCapture(),
                             [&](const std::string& text) { return machine.session.gather(text); });
    for (std::uint64_t i = 0; i < kSteps; ++i) {
      const std::int64_t size = i % 2 == 0 ? large : small;
      static_cast<void>(step.run(trial.share(trial_batch(i, size)), size, {0, static_cast<std::int64_t>(i)},
                                 1e-4 / static_cast<double>(i + 1)));
    }
    num_captured = captures ? step.num_captured() : num_captured;
    NamedValues weights;
    for (const auto& [name, tensor] : trial.learner.weights()) {
      weights.emplace_back(name, tensor.cpu());
    }
    return weights;
  };
  const std::string difference = first_difference(trained(true), trained(false));
  if (num_captured != 2) {
    return failed(fmt::format("{} of 2 batch sizes captured: the log says why", num_captured));
  }
  return difference.empty() ? wanted(true, fmt::format("{} steps, 2 graphs", kSteps), "the same bits")
                            : failed(difference + " differs");
}

/// What a capture that fails leaves behind: its memory must come back, and steps must go on.
Finding failed_capture_leaves_no_trace(const Machine& machine) {
  if (!machine.device.is_cuda()) {
    return skipped("device is cpu");
  }
  const auto solo = dist::make_solo_communicator();
  Trial trial(Precision::fp32, machine.device, *solo);
  const data::Batch batch = trial.share(trial_batch(1, 3));
  static_cast<void>(trial.step.compute(batch));
  gpu::synchronize();
  gpu::release_cached_memory();
  const auto reserved = [&] { return gpu::memory(machine.device.index()).reserved; };
  const std::int64_t before = reserved();
  bool has_failed = false;
  try {
    train::cuda_graph_captures (*solo)()->capture([&] {
      static_cast<void>(trial.step.compute(batch).losses.sum().item<double>());  // waiting cannot be captured
    });
  } catch (const std::exception& /*expected*/) {
    has_failed = true;
  }
  check(has_failed, "a host that waits was captured");
  gpu::release_cached_memory();
  const std::int64_t left = reserved() - before;
  const double loss = trial.step.compute(batch).losses[-1].item<double>();
  check(std::isfinite(loss), "the step after it has the loss {}", loss);
  return wanted(left <= 0, fmt::format("{} bytes kept", std::max<std::int64_t>(left, 0)), "none");
}

Finding host_does_not_wait(const Machine& machine, Precision precision) {
  if (!machine.device.is_cuda()) {
    return skipped("device is cpu");
  }
  const auto solo = dist::make_solo_communicator();
  Trial trial(precision, machine.device, *solo);
  const data::Batch batch = trial.share(trial_batch(1, 3));
  static_cast<void>(trial.step.compute(batch));  // sets up cuDNN and cuBLAS
  trial.step.update(1e-4);
  const TempFolder scratch(machine.scratch, "xtasc-selftest");
  write_noise_pack(scratch.path() / "noise.h5", {.train = 3, .val = 1, .height = 64, .width = 64});
  const data::Dataset samples(pack::Reader(scratch.path() / "noise.h5"), pack::Split::train, 0, machine.device);
  {
    const gpu::WaitingThrows waiting_throws;
    static_cast<void>(data::draw_batch(samples, std::array<std::int64_t, 3>{0, 1, 2}, {}, /*seed=*/1, /*epoch=*/0));
    static_cast<void>(trial.step.compute(batch));
    trial.step.update(1e-4);
  }
  check(at::isfinite(trial.learner.net.parameters().flat_values()).all().item<bool>(), "a weight is not finite");
  return wanted(true, "no wait in drawing a batch and a step", "none");
}

}  // namespace

void check_cuda_graph(CheckRunner& runner, const Machine& machine) {
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    runner.run(kCudaGraphGroup,
               fmt::format("all ranks' steps as CUDA graphs against plain ones, {}", config::name(precision)),
               [&] { return captured_steps_are_right(machine, precision); });
    runner.run(kCudaGraphGroup, fmt::format("the host does not wait for the device, {}", config::name(precision)),
               [&] { return host_does_not_wait(machine, precision); });
  }
  runner.run(kCudaGraphGroup, "one that fails leaves no trace",
             [&] { return failed_capture_leaves_no_trace(machine); });
}

}  // namespace xtasc::launch
