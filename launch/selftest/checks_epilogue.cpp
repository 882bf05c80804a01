#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include "kernels/epilogue/epilogue.hpp"
#include "launch/selftest/checks.hpp"
#include "launch/selftest/trial.hpp"

namespace xtasc::launch {

namespace {

/// (N, C, H, W), and (C). Halves, so that no sum is rounded, in float32 either, and equals meet in a pool's windows.
struct Operands {
  at::Tensor z, grad_y, grad_pooled, bias, scale;
};

Operands operands_of(std::int64_t channels, at::ScalarType type) {
  const at::Generator generator = at::detail::createCPUGenerator(23);
  const auto halves = [&](at::IntArrayRef shape) { return at::randint(-6, 7, shape, generator, at::kDouble) / 2.0; };
  const auto of_images = [&](std::int64_t height, std::int64_t width) {
    return halves({3, channels, height, width}).to(type).contiguous(at::MemoryFormat::ChannelsLast);
  };
  const auto of_channels = [&] { return halves({channels}).to(type == at::kDouble ? at::kDouble : at::kFloat); };
  return {of_images(24, 40), of_images(24, 40), of_images(12, 20), of_channels(), of_channels()};
}

NamedValues results_on(at::Device device, const Operands& in) {
  const auto on = [&](const at::Tensor& t) {
    return t.to(device, t.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
  };
  const at::Tensor z = on(in.z), bias = on(in.bias), y = on(in.z);
  const at::Tensor behind_relu = on(in.scale), behind_pool = on(in.scale);
  const at::Tensor gate = kernels::add_bias_and_relu(y, bias, /*wants_gate=*/true);
  const kernels::Pooled pooled = kernels::add_bias_relu_and_pool(z, bias);
  return {{"bias and ReLU", y.cpu()},
          {"max-pool", pooled.y.cpu()},
          {"corners of the maxima", pooled.from.cpu()},
          {"gradient behind the ReLU", kernels::gradient_behind_relu(on(in.grad_y), gate, behind_relu).cpu()},
          {"gradient of the bias behind the ReLU", behind_relu.cpu()},
          {"gradient behind the max-pool",
           kernels::gradient_behind_pool(on(in.grad_pooled), pooled.from, behind_pool).cpu()},
          {"gradient of the bias behind the max-pool", behind_pool.cpu()},
          {"residual", kernels::scale_shift_add_and_relu(z, on(in.scale), bias, on(in.grad_y)).cpu()}};
}

Finding results_are_the_cpus(const Machine& machine, at::ScalarType type) {
  for (const std::int64_t channels : {64, 37}) {  // read four at once, and one by one
    const Operands operands = operands_of(channels, type);
    const std::string difference =
        first_difference(results_on(machine.device, operands), results_on(at::kCPU, operands));
    if (!difference.empty()) {
      return failed(fmt::format("{} differs, {} channels", difference, channels));
    }
  }
  return wanted(true, "every element and sum", "the CPU's bits");
}

}  // namespace

void check_epilogues(CheckRunner& runner, const Machine& machine) {
  for (const auto& [name, type] : {std::pair{"fp64", at::kDouble}, {"fp32", at::kFloat}, {"bf16", at::kBFloat16}}) {
    runner.run("device", fmt::format("bias, ReLU, max-pool and residual in one pass, {}", name),
               [&] { return results_are_the_cpus(machine, type); });
  }
}

}  // namespace xtasc::launch
