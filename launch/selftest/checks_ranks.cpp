#include <ATen/ATen.h>
#include <fmt/format.h>

#include "launch/selftest/checks.hpp"
#include "launch/selftest/trial.hpp"

namespace xtasc::launch {

namespace {

/// Trains on all ranks, and the same steps on this rank alone. Parts of a batch are unequal and some are empty.
Finding ranks_equal_one(config::Precision precision, at::Device device, dist::Communicator& world, int num_steps,
                        double bound) {
  const auto solo = dist::make_solo_communicator();
  Trial shared(precision, device, world);
  Trial alone(precision, device, *solo);
  train::broadcast_state(alone.learner, world);
  Worst worst;
  for (int i = 0; i < num_steps; ++i) {
    const data::Batch batch = trial_batch(static_cast<std::uint64_t>(i), trial_batch_size(i, world.size()));
    const at::Tensor found = shared.train(batch).losses;
    const at::Tensor expected = alone.train(batch).losses;
    const std::vector<std::string> names = train::loss_names(*alone.learner.objective);
    for (std::size_t k = 0; k < names.size(); ++k) {
      const auto index = static_cast<std::int64_t>(k);
      worst.add(deviation(found[index], expected[index]), fmt::format("loss {} of step {}", names[k], i));
    }
  }
  // In fp32 Adam gives a gradient of rounding size the step of a large one: only losses of the first step say anything.
  if (precision == config::Precision::fp64) {
    const Worst weights = worst_deviation(with_influence(shared.learner.weights(), shared.config.model),
                                          with_influence(alone.learner.weights(), alone.config.model));
    worst.add(weights.value, weights.name);
  }
  return at_most(worst.value, bound, worst.name);
}

/// Training keeps every rank's weights the same without ever sending them.
Finding same_weights_everywhere(const Machine& machine) {
  Trial trial(config::Precision::bf16, machine.device, *machine.world);
  for (int i = 0; i < 2; ++i) {
    static_cast<void>(
        trial.train(trial_batch(static_cast<std::uint64_t>(i), trial_batch_size(i, machine.session.size()))));
  }
  const at::Tensor own = trial.learner.net.parameters().flat_values();
  const at::Tensor first = own.clone();
  machine.world->broadcast(first);
  return wanted(at::equal(own, first), fmt::format("{} weights", own.numel()), "rank 0's bits");
}

}  // namespace

void check_ranks(CheckRunner& runner, const Machine& machine) {
  const auto run = [&](const std::string& name, const std::function<Finding()>& check) {
    runner.run("ranks", name,
               [&] { return machine.world ? check() : skipped("the device's communicator did not start"); });
  };
  runner.run("ranks", "all equal one: 4 steps in fp64 on the CPU, losses and weights", [&] {
    const auto hosts = dist::make_mpi_communicator(machine.session);
    return ranks_equal_one(config::Precision::fp64, at::kCPU, *hosts, 4, 1e-8);
  });
  run("all equal one: 4 steps in fp64 on the GPU, losses and weights", [&] {
    return machine.device.is_cuda() ? ranks_equal_one(config::Precision::fp64, machine.device, *machine.world, 4, 1e-8)
                                    : skipped("device is cpu");
  });
  run("all equal one: first step in fp32, losses",
      [&] { return ranks_equal_one(config::Precision::fp32, machine.device, *machine.world, 1, 1e-5); });
  run("all hold the same weights after 2 steps in bf16", [&] { return same_weights_everywhere(machine); });
}

}  // namespace xtasc::launch
