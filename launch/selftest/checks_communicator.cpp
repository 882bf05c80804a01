#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "core/error.hpp"
#include "dist/gradient_sync.hpp"
#include "launch/selftest/checks.hpp"
#include "launch/selftest/trial.hpp"

namespace xtasc::launch {

namespace {

constexpr std::int64_t kMiB = 1024 * 1024;
/// Values repeat after a prime number of elements, so that a piece in a wrong place shows.
constexpr std::int64_t kPeriod = 65521;

/// One period of values: whole numbers for int64, fractions of either sign otherwise.
at::Tensor pattern(at::ScalarType type) {
  const at::Tensor whole = (at::arange(kPeriod, at::kLong) * 7919).remainder(10007) - 5003;
  return type == at::kLong ? whole : (whole.to(at::kDouble) / 9973.0).to(type);
}

/// What rank `rank` multiplies the pattern with: no two ranks alike.
double factor_of(int rank) {
  return std::pow(rank + 1.0, 2.0);
}

/// `numel` elements of this rank's values, on the device.
at::Tensor values_of(const Machine& machine, at::ScalarType type, std::int64_t numel) {
  const at::Tensor one = pattern(type) * at::scalar_tensor(factor_of(machine.session.rank()), type);
  return one.repeat({numel / kPeriod + 1}).narrow(0, 0, numel).clone().to(machine.device);
}

/// Deviation of a sum over the ranks from what this rank finds by itself, relative to the largest value.
double deviation_of_sum(const Machine& machine, const at::Tensor& summed) {
  double factors = 0.0;
  for (int rank = 0; rank < machine.session.size(); ++rank) {
    factors += factor_of(rank);
  }
  const at::Tensor expected = pattern(summed.scalar_type()).to(at::kDouble) * factors;
  const at::Tensor found = summed.to(at::kCPU);
  const double scale = expected.abs().max().item<double>();
  Worst worst;
  for (std::int64_t first = 0; first < found.numel(); first += kPeriod) {
    const std::int64_t count = std::min(kPeriod, found.numel() - first);
    const at::Tensor difference = found.narrow(0, first, count).to(at::kDouble) - expected.narrow(0, 0, count);
    worst.add(difference.abs().max().item<double>() / scale, "a piece");
  }
  return worst.value;
}

/// n products and n - 1 sums are rounded, each by half a unit in the last place at most. Whole numbers are exact.
double bound_of_sum(const Machine& machine, at::ScalarType type) {
  const double n = machine.session.size();
  switch (type) {
    case at::kFloat:
      return n * static_cast<double>(std::numeric_limits<float>::epsilon());
    case at::kDouble:
      return n * std::numeric_limits<double>::epsilon();
    default:
      return 0.0;
  }
}

Finding sum_is_right(const Machine& machine, at::ScalarType type) {
  Worst worst;
  const auto bytes = static_cast<std::int64_t>(c10::elementSize(type));
  for (const std::int64_t numel : {std::int64_t{0}, std::int64_t{1}, std::int64_t{1023}, kMiB / bytes + 1}) {
    const at::Tensor tensor = values_of(machine, type, numel);
    machine.world->sum(tensor);
    worst.add(deviation_of_sum(machine, tensor), fmt::format("{} elements", numel));
  }
  return at_most(worst.value, bound_of_sum(machine, type), worst.name);
}

Finding bucketed_sum_is_right(const Machine& machine) {
  const at::Tensor flat = values_of(machine, at::kFloat, 64 * kMiB / 4);
  dist::GradientSync sync(*machine.world, {flat}, 25 * kMiB);
  sync.reduce();
  return at_most(deviation_of_sum(machine, flat), bound_of_sum(machine, at::kFloat),
                 fmt::format("{} buckets", sync.num_buckets()));
}

/// Random values, another stream for each rank.
at::Tensor random_values(int rank, std::int64_t numel) {
  return at::rand({numel}, at::detail::createCPUGenerator(static_cast<std::uint64_t>(rank) + 1), at::kFloat) - 0.5;
}

/// Decisions are taken from sums without further talk.
Finding same_bits_everywhere(const Machine& machine) {
  const at::Tensor sum = random_values(machine.session.rank(), kMiB / 4 + 3).to(machine.device);
  machine.world->sum(sum);
  const at::Tensor first = sum.clone();
  machine.world->broadcast(first);
  return wanted(at::equal(sum, first), fmt::format("{} sums", sum.numel()), "rank 0's bits");
}

Finding broadcast_is_right(const Machine& machine) {
  for (const std::int64_t numel : {std::int64_t{0}, std::int64_t{1}, kMiB + 1}) {
    const at::Tensor tensor = random_values(machine.session.rank(), numel).to(machine.device);
    machine.world->broadcast(tensor);
    if (!at::equal(tensor.to(at::kCPU), random_values(0, numel))) {
      return wanted(false, fmt::format("{} elements differ", numel), "rank 0's bits");
    }
  }
  return wanted(true, "0, 1 and 1048577 elements", "rank 0's bits");
}

Finding texts_are_gathered(const Machine& machine) {
  const dist::MpiSession& session = machine.session;
  const auto text_of = [](int rank) {
    return std::string(static_cast<std::size_t>(rank % 7), 'x') + std::to_string(rank);
  };
  const auto texts = session.gather(text_of(session.rank()));
  check(texts.size() == static_cast<std::size_t>(session.size()), "{} texts from {} ranks", texts.size(),
        session.size());
  for (int rank = 0; rank < session.size(); ++rank) {
    const std::string& found = texts[static_cast<std::size_t>(rank)];
    check(found == text_of(rank), "'{}' from rank {}", found, rank);
  }
  const std::string first = session.broadcast(text_of(session.rank() + 5));
  check(first == text_of(5), "'{}' from rank 0's broadcast", first);
  const std::int64_t largest = session.max(session.rank());
  check(largest == session.size() - 1, "the largest rank is {}", largest);
  return wanted(true, fmt::format("{} texts", texts.size()), "each as sent");
}

/// The device's backend against MPI on the host.
Finding backends_agree(const Machine& machine) {
  if (machine.world->backend() == "MPI") {
    return skipped("MPI is the only one here");
  }
  const auto hosts = dist::make_mpi_communicator(machine.session);
  const at::Tensor on_host = random_values(machine.session.rank(), kMiB / 4 + 3);
  const at::Tensor on_device = on_host.to(machine.device);
  hosts->sum(on_host);
  machine.world->sum(on_device);
  return at_most(deviation(on_device, on_host), bound_of_sum(machine, at::kFloat), "sums of float32");
}

Finding bandwidth(const Machine& machine, std::int64_t mib, int rounds) {
  const int n = machine.session.size();
  if (n == 1) {
    return skipped("one rank has nothing to sum");
  }
  const at::Tensor tensor = at::zeros({mib * kMiB / 4}, at::TensorOptions().device(machine.device).dtype(at::kFloat));
  std::vector<double> seconds;
  for (int round = 0; round <= rounds; ++round) {
    machine.session.barrier();
    const auto start = std::chrono::steady_clock::now();
    machine.world->sum(tensor);
    static_cast<void>(tensor[0].item<float>());  // waits for the device
    if (round > 0) {                             // the first one sets up connections
      seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const double algorithm = static_cast<double>(mib * kMiB) / median / 1e9;
  // What each link carries in a ring. https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md
  const double bus = algorithm * 2.0 * (n - 1) / n;
  return measured(fmt::format("{:.2f} ms, algorithm {:.2f} GB/s, bus {:.2f} GB/s", median * 1e3, algorithm, bus));
}

/// Checks that need the device's communicator.
std::function<Finding()> with_world(const Machine& machine, std::function<Finding()> check) {
  return [&machine, check = std::move(check)] {
    return machine.world ? check() : skipped("the device's communicator did not start");
  };
}

}  // namespace

void check_communicator(CheckRunner& runner, const Machine& machine) {
  const auto run = [&](const std::string& name, const std::function<Finding()>& check) {
    runner.run("communicator", name, with_world(machine, check));
  };
  run("sums of int64, 0 to 1 MiB, exact", [&] { return sum_is_right(machine, at::kLong); });
  run("sums of float32, 0 to 1 MiB", [&] { return sum_is_right(machine, at::kFloat); });
  run("sums of float64, 0 to 1 MiB", [&] { return sum_is_right(machine, at::kDouble); });
  run("sums of float32, 64 MiB in buckets", [&] { return bucketed_sum_is_right(machine); });
  run("sums have the same bits on every rank", [&] { return same_bits_everywhere(machine); });
  run("broadcast", [&] { return broadcast_is_right(machine); });
  run("texts are gathered and broadcast", [&] { return texts_are_gathered(machine); });
  run("the device's backend agrees with MPI", [&] { return backends_agree(machine); });
}

void check_bandwidth(CheckRunner& runner, const Machine& machine) {
  for (const auto& [mib, rounds] : {std::pair{1, 21}, {16, 7}, {128, 5}}) {
    runner.run("bandwidth", fmt::format("all-reduce of {} MiB", mib),
               with_world(machine, [&, mib = mib, rounds = rounds] { return bandwidth(machine, mib, rounds); }));
  }
}

}  // namespace xtasc::launch
