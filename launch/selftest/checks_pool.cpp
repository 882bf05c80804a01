#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include "kernels/pool/pool.hpp"
#include "launch/selftest/checks.hpp"
#include "launch/selftest/trial.hpp"

namespace xtasc::launch {

namespace {

/// (N, C, H, W). Whole numbers, so that equals meet in the windows.
struct Maps {
  at::Tensor x, grad_values, small, grad_large;
};

Maps maps_of(at::ScalarType type) {
  const at::Generator generator = at::detail::createCPUGenerator(29);
  const auto whole = [&](std::int64_t height, std::int64_t width) {
    return at::randint(-2, 3, {3, 37, height, width}, generator, at::kDouble).to(type);
  };
  return {whole(24, 40), whole(12, 20), whole(12, 20), whole(24, 40)};
}

NamedValues results_on(at::Device device, const Maps& maps) {
  at::Tensor x = maps.x.to(device).clone().requires_grad_(true);
  at::Tensor small = maps.small.to(device).clone().requires_grad_(true);
  const kernels::MaxPooled pooled = kernels::max_pool_2x2(x);
  const at::Tensor large = kernels::unpool_2x2(small, pooled.which);
  pooled.values.backward(maps.grad_values.to(device));
  large.backward(maps.grad_large.to(device));
  return {{"max-pool", pooled.values.detach().cpu()},
          {"places of the maxima", pooled.which.cpu()},
          {"gradient behind the max-pool", x.grad().cpu()},
          {"unpool", large.detach().cpu()},
          {"gradient behind the unpool", small.grad().cpu()}};
}

}  // namespace

void check_pool(CheckRunner& runner, const Machine& machine) {
  for (const auto& [name, type] : {std::pair{"fp64", at::kDouble}, {"fp32", at::kFloat}, {"bf16", at::kBFloat16}}) {
    runner.run("device", fmt::format("max-pool by places and its unpool, ties too, {}", name), [&, type = type] {
      const Maps maps = maps_of(type);
      const std::string difference = first_difference(results_on(machine.device, maps), results_on(at::kCPU, maps));
      return difference.empty() ? wanted(true, "every element", "the CPU's bits") : failed(difference + " differs");
    });
  }
}

}  // namespace xtasc::launch
