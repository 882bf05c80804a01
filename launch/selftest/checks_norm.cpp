#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include "kernels/batch_norm/batch_norm_by_elements.hpp"
#include "launch/selftest/checks.hpp"
#include "launch/selftest/trial.hpp"

namespace xtasc::launch {

namespace {

/// What batch norm's passes read: (N, C, H, W) and (C).
struct NormCase {
  at::Tensor grad_y, x, scale, shift, a, b, c;
};

/// \param exact  eighths so small that no sum or product of them is rounded, in float32 either, and shifts that keep
///               the ReLU's input off zero; otherwise normal numbers
NormCase operands_of(std::int64_t channels, at::ScalarType type, bool exact) {
  const at::Generator generator = at::detail::createCPUGenerator(21);
  const auto numbers = [&](at::IntArrayRef shape) {
    return exact ? at::randint(-16, 17, shape, generator, at::kDouble) / 8.0 : at::randn(shape, generator, at::kDouble);
  };
  const auto of_images = [&] {
    return numbers({3, channels, 24, 40}).to(type).contiguous(at::MemoryFormat::ChannelsLast);
  };
  const auto of_channels = [&] { return numbers({channels}).to(type == at::kDouble ? at::kDouble : at::kFloat); };
  NormCase operands = {of_images(),   of_images(),   of_channels(), of_channels(),
                       of_channels(), of_channels(), of_channels()};
  operands.shift += exact ? 1.0 / 128.0 : 0.0;
  return operands;
}

/// The four functions of one implementation.
struct Norm {
  decltype(&kernels::statistics_of) statistics;
  decltype(&kernels::scale_shift) scaled;
  decltype(&kernels::gradient_factors) factors;
  decltype(&kernels::gradient_of_x) gradient;
};

NamedValues passes_by(const Norm& by, const NormCase& in, at::Device device, bool relu) {
  const auto on = [&](const at::Tensor& t) {
    return t.to(device, t.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
  };
  const kernels::NormOperands operands = {on(in.grad_y), on(in.x), on(in.scale), on(in.shift)};
  const kernels::NormTensors norm = {
      .weight = operands.scale, .bias = operands.shift, .running_mean = on(in.a), .running_var = on(in.b)};
  at::Tensor of_x, of_gradient;  // what would be summed over ranks: sums, sums of products, count
  const kernels::NormStatistics statistics =
      by.statistics(operands.x, norm, [&](const at::Tensor& sums) { of_x = sums.cpu(); });
  const kernels::NormGradients gradients = {on(in.c), on(in.a)};
  const kernels::NormGradientFactors factors = by.factors(operands, statistics, operands.scale, gradients, relu,
                                                          [&](const at::Tensor& sums) { of_gradient = sums.cpu(); });
  return {{"sums of x", of_x},
          {"sums of the gradient", of_gradient},
          {"scale", statistics.scale.cpu()},
          {"shift", statistics.shift.cpu()},
          {"running mean", norm.running_mean.cpu()},
          {"running variance", norm.running_var.cpu()},
          {"gradient of the weight", gradients.weight.cpu()},
          {"gradient of the bias", gradients.bias.cpu()},
          {"factor of the gradient", factors.a.cpu()},
          {"factor of x", factors.b.cpu()},
          {"constant of the gradient", factors.c.cpu()},
          {"output", by.scaled(operands.x, operands.scale, operands.shift, relu).cpu()},
          {"gradient of x", by.gradient(operands, relu, {on(in.a), on(in.b), on(in.c)}).cpu()}};
}

/// The element functions, which CUDA's kernels run, on the device.
NamedValues passes_by_elements(const NormCase& in, at::Device device, bool relu) {
  return passes_by({kernels::by_elements::statistics_of, kernels::by_elements::scale_shift,
                    kernels::by_elements::gradient_factors, kernels::by_elements::gradient_of_x},
                   in, device, relu);
}

/// The CPU's loops.
NamedValues passes_on_cpu(const NormCase& in, bool relu) {
  const ThreadsFor one_thread(1);
  return passes_by({kernels::statistics_of, kernels::scale_shift, kernels::gradient_factors, kernels::gradient_of_x},
                   in, at::kCPU, relu);
}

/// Sums and elements, which are exact on exact numbers; what is computed for each channel is rounded.
NamedValues exact_of(const NamedValues& values) {
  NamedValues exact;
  for (const auto& one : values) {
    if (one.first == "sums of x" || one.first == "sums of the gradient" || one.first == "output" ||
        one.first == "gradient of x") {
      exact.push_back(one);
    }
  }
  return exact;
}

/// Channels that are read four at once, and one by one.
constexpr std::int64_t kChannels[] = {64, 37};

Finding passes_are_exact(const Machine& machine, at::ScalarType type) {
  for (const std::int64_t channels : kChannels) {
    for (const bool relu : {false, true}) {
      const NormCase operands = operands_of(channels, type, /*exact=*/true);
      const std::string difference = first_difference(exact_of(passes_by_elements(operands, machine.device, relu)),
                                                      exact_of(passes_on_cpu(operands, relu)));
      if (!difference.empty()) {
        return failed(fmt::format("{} differs, {} channels, {} ReLU", difference, channels, relu ? "with" : "without"));
      }
    }
  }
  return wanted(true, "every sum and element", "the CPU's bits");
}

/// With the ReLU in fp64 alone: rounding switches single elements on or off.
Finding passes_round_alike(const Machine& machine, at::ScalarType type, double bound) {
  const bool relu = type == at::kDouble;
  Worst worst;
  for (const std::int64_t channels : kChannels) {
    const NormCase operands = operands_of(channels, type, /*exact=*/false);
    const Worst of_these =
        worst_deviation(passes_by_elements(operands, machine.device, relu), passes_on_cpu(operands, relu));
    worst.add(of_these.value, of_these.name);
  }
  return at_most(worst.value, bound, worst.name);
}

}  // namespace

void check_norm_passes(CheckRunner& runner, const Machine& machine) {
  const auto run = [&](const std::string& name, const std::function<Finding()>& check) {
    runner.run("device", "batch norm's passes " + name, check);
  };
  run("on exact numbers, fp64", [&] { return passes_are_exact(machine, at::kDouble); });
  run("on exact numbers, fp32", [&] { return passes_are_exact(machine, at::kFloat); });
  run("on exact numbers, bf16", [&] { return passes_are_exact(machine, at::kBFloat16); });
  run("in fp64 against the CPU's", [&] { return passes_round_alike(machine, at::kDouble, 1e-12); });
  run("in fp32", [&] { return passes_round_alike(machine, at::kFloat, 1e-5); });
  run("in bf16", [&] { return passes_round_alike(machine, at::kBFloat16, 1e-2); });
}

}  // namespace xtasc::launch
