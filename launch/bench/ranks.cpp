#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "config/enums.hpp"
#include "core/error.hpp"
#include "launch/bench/contestant.hpp"

namespace xtasc::launch {

namespace {

constexpr double kMebi = 1024.0 * 1024.0;

/// Bytes that a ring moves over each rank's link for one byte summed.
double ring_factor(int ranks) {
  return 2.0 * (ranks - 1.0) / ranks;
}

/// Seconds of one sum of `bytes` bytes of float32, the slowest rank's. Collective.
Timing time_sum(const dist::MpiSession& session, dist::Communicator& world, at::Device device, double bytes,
                int rounds) {
  const auto numel = std::max<std::int64_t>(1, static_cast<std::int64_t>(bytes / 4.0));
  const at::Tensor tensor = at::zeros({numel}, at::TensorOptions().dtype(at::kFloat).device(device));
  Timing timing;
  for (int round = -2; round < rounds; ++round) {
    session.barrier();
    const double seconds = slowest(session, seconds_of([&] {
                                     world.sum(tensor);
                                     wait_for(device);
                                   }));
    if (round >= 0) {
      timing.seconds.push_back(seconds);
    }
  }
  return timing;
}

/// Counts the sums of a step.
class Counting final : public dist::Communicator {
 public:
  explicit Counting(std::int64_t& sums) : sums_(sums) {}
  void sum(const at::Tensor& /*tensor*/) override { ++sums_; }
  void sum_all(std::span<const at::Tensor> /*tensors*/) override {}
  void broadcast(const at::Tensor& /*tensor*/) override {}
  [[nodiscard]] int rank() const override { return 0; }
  [[nodiscard]] int size() const override { return 2; }  // so that the step sums at all
  [[nodiscard]] std::string_view backend() const override { return "none"; }

 private:
  std::int64_t& sums_;
};

Timing take_steps(Contestant& contestant, int rounds) {
  Timing timing;
  contestant.warm_up();
  for (int round = 0; round < rounds; ++round) {
    timing.seconds.push_back(contestant.take_step());
  }
  return timing;
}

/// Steps of rank 0, whose contestant sums with nobody, while the others wait.
Timing take_steps_alone(Contestant& contestant, const dist::MpiSession& session, int rounds) {
  Timing timing;
  for (int round = 0; round < rounds; ++round) {
    if (session.rank() == 0) {
      timing.seconds.push_back(contestant.take_step());
    } else {  // what take_step() does together
      session.barrier();
      session.sleeping_barrier();
      timing.seconds.push_back(slowest(session, 0.0));
    }
  }
  return timing;
}

config::RunConfig with_batch(config::RunConfig config, std::int64_t batch) {
  config.train.batch_size = batch;
  return config;
}

}  // namespace

nlohmann::json bench_allreduce(const AllreduceBench& options, const dist::MpiSession& session,
                               const config::RunConfig& config) {
  const at::Device device = train::choose_device(config.run, session);
  train::configure_torch(config, session);
  const auto world = dist::make_communicator(session, device.type(), train::sharing_of(config.run));
  nlohmann::json result = describe_ranks(session, device);
  result["communicator"] = std::string(world->backend());
  if (session.rank() == 0) {
    fmt::print("{} rank{} over {}, {}\n{:>12} {:>12} {:>24} {:>12} {:>12}\n", session.size(),
               session.size() == 1 ? "" : "s", world->backend(), train::describe_device(device), "MiB", "ms", "",
               "GB/s", "GB/s a link");
  }
  for (const double mebibytes : options.mebibytes) {
    const Timing timing = time_sum(session, *world, device, mebibytes * kMebi, options.rounds);
    const double rate = mebibytes * kMebi / timing.median() / 1e9;
    const double link = rate * ring_factor(session.size());
    result["sums"].push_back(
        {{"mebibytes", mebibytes}, {"seconds", to_json(timing)}, {"GB_per_s", rate}, {"GB_per_s_a_link", link}});
    if (session.rank() == 0) {
      fmt::print("{:>12} {:>12.3f} ({:>8.3f} to {:>8.3f}) {:>13.2f} {:>12.2f}\n", mebibytes, timing.median() * 1e3,
                 timing.min() * 1e3, timing.max() * 1e3, rate, link);
    }
  }
  return result;
}

nlohmann::json bench_scaling(const ScalingBench& options, const dist::MpiSession& session,
                             const config::RunConfig& config) {
  const at::Device device = train::choose_device(config.run, session);
  train::configure_torch(config, session);
  const auto say = [&](const std::string& text) {
    if (session.rank() == 0) {
      fmt::print("{}\n", text);
    }
  };
  const std::int64_t mine = std::max<std::int64_t>(1, config.train.batch_size / session.size());
  const data::Dataset samples =
      make_noise_samples(options.step, config, mine * std::max<std::int64_t>(2, session.size()), device);
  nlohmann::json result = describe_work(config,
                                        {.num_classes = options.step.num_classes,
                                         .height = options.step.height,
                                         .width = options.step.width,
                                         .batch_size = mine * session.size()},
                                        session, device);
  result["images_a_rank"] = mine;

  say(fmt::format("{} {} {}, {} x {}; {} rank{} at work at once\n", config.model.system,
                  config::encoder_of(config.model), config::name(config.run.precision), options.step.height,
                  options.step.width, session.size(), session.size() == 1 ? "" : "s"));
  say("Each rank alone (no sums), measured:");
  say(fmt::format("{:>12} {:>12} {:>22}", "batch a rank", "s a step", "images/s a rank"));
  std::vector<std::int64_t> batches;
  for (std::int64_t batch = 1; batch < mine; batch *= 2) {
    batches.push_back(batch);
  }
  batches.push_back(mine);
  double alone = 0.0;
  double without_company = 0.0;
  double gradient_bytes = 0.0;
  for (const std::int64_t batch : batches) {
    Contestant contestant(samples, options.step, session, with_batch(config, batch), dist::make_solo_communicator());
    const Timing timing = take_steps(contestant, options.step.rounds);
    alone = timing.median();
    gradient_bytes = static_cast<double>(contestant.gradient_bytes());
    result["alone"].push_back({{"images_a_rank", batch}, {"step", to_json(timing)}});
    say(fmt::format("{:>12} {:>12.3f} {:>22.2f}", batch, alone, static_cast<double>(batch) / alone));
    if (batch == mine && session.size() > 1) {
      without_company = take_steps_alone(contestant, session, options.step.rounds).median();
      say(fmt::format("{:>12} {:>12.3f} {:>22.2f}  while the other ranks wait", batch, without_company,
                      static_cast<double>(batch) / without_company));
      result["one_rank_while_others_wait"] = without_company;
    }
  }
  say(fmt::format("\n{:>12} {:>12} {:>22}  batch {}", "size", "s a step", "images/s a rank", mine));
  for (const auto& [height, width] : options.sizes) {
    StepBench step = options.step;
    step.height = height;
    step.width = width;
    const data::Dataset of_size = make_noise_samples(step, config, mine, device);
    Contestant contestant(of_size, step, session, with_batch(config, mine), dist::make_solo_communicator());
    const Timing timing = take_steps(contestant, step.rounds);
    result["sizes"].push_back({{"height", height}, {"width", width}, {"step", to_json(timing)}});
    say(fmt::format("{:>12} {:>12.3f} {:>22.2f}", fmt::format("{} x {}", height, width), timing.median(),
                    static_cast<double>(mine) / timing.median()));
  }
  if (session.size() == 1) {
    say("\nUnder mpirun -np 2 or more it also measures sums and a step of all ranks together.");
    return result;
  }

  std::int64_t num_sums = 0;
  {
    Contestant counted(samples, options.step, session, with_batch(config, 2 * mine),
                       std::make_unique<Counting>(num_sums));
    counted.take_step();
  }
  const auto world = dist::make_communicator(session, device.type(), train::sharing_of(config.run));
  const Timing large = time_sum(session, *world, device, gradient_bytes, options.step.rounds);
  const Timing small = time_sum(session, *world, device, 2048.0, 50);
  Contestant together(samples, options.step, session, with_batch(config, mine * session.size()),
                      dist::make_communicator(session, device.type(), train::sharing_of(config.run)));
  const double measured = take_steps(together, options.step.rounds).median();
  say(
      fmt::format("\nSums over {} ranks, measured: {:.1f} MB of gradients in {:.1f} ms ({:.2f} GB/s a link), {} small "
                  "sums a step of {:.0f} us",
                  session.size(), gradient_bytes / 1e6, large.median() * 1e3,
                  ring_factor(session.size()) * gradient_bytes / large.median() / 1e9, num_sums, small.median() * 1e6));
  result["communicator"] = std::string(world->backend());
  result["sums"] = {{"gradient_bytes", gradient_bytes},
                    {"gradient_seconds", to_json(large)},
                    {"small_sums", num_sums},
                    {"small_seconds", to_json(small)}};

  say(fmt::format("\n{} images a rank:\n{:>8} {:>12} {:>14} {:>14}", mine, "ranks", "s a step", "images/s",
                  "efficiency"));
  for (const auto& [ranks, seconds] : {std::pair{1, alone}, {session.size(), measured}}) {
    const double images = static_cast<double>(ranks * mine) / seconds;
    result["by_ranks"].push_back({{"ranks", ranks}, {"seconds", seconds}, {"images_per_second", images}});
    say(fmt::format("{:>8} {:>12.3f} {:>14.2f} {:>12.1f} %", ranks, seconds, images, 100.0 * alone / seconds));
  }
  const double gain = session.size() * without_company / measured;
  result["work_of_all_ranks_to_one"] = gain;
  say(fmt::format("\n{} ranks do {:.2f} times the work of one while the others sleep.", session.size(), gain));
  return result;
}

}  // namespace xtasc::launch
