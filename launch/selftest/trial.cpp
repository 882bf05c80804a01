#include "launch/selftest/trial.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "core/error.hpp"
#include "data/sampler.hpp"
#include "net/networks.hpp"

namespace xtasc::launch {

namespace {

constexpr std::int64_t kNumClasses = 7;
constexpr std::int64_t kSize = 64;
constexpr double kLearningRate = 1e-4;
const net::Sizes kSizes(kNumClasses, kSize, kSize, /*batch_size=*/4);

config::RunConfig small_config(config::Precision precision, const std::vector<std::string>& more) {
  std::vector<std::string> assignments = {
      "model.encoder=resnet18", "model.decoder_width=8", "model.ttnet_widths=[8, 8, 8]",
      "loss.lambda_1=0.1",      "loss.lambda_2=0.2",     "weighting.method=uncertainty",
      "train.bucket_mib=16",    "run.device=cpu",        fmt::format("run.precision={}", config::name(precision))};
  assignments.insert(assignments.end(), more.begin(), more.end());
  return config::run_config_of(assignments);
}

}  // namespace

Trial::Trial(config::Precision precision, at::Device device_, dist::Communicator& communicator_,
             const std::vector<std::string>& more)
    : config(small_config(precision, more)),
      device(device_),
      communicator(communicator_),
      learner(config, kSizes, device),
      step(config, train::with_random_teachers(learner, config, kSizes), communicator) {
  train::broadcast_state(learner, communicator);
}

data::Batch Trial::share(const data::Batch& whole) const {
  const data::Range mine = data::share_of({0, whole.image_n3hw.size(0)}, communicator.rank(), communicator.size());
  const auto rows = [&](const at::Tensor& tensor, at::ScalarType type) {
    return tensor.narrow(0, mine.begin, mine.size()).to(device, type);
  };
  data::Batch part = whole.changed([&](const at::Tensor& tensor) {
    return rows(tensor, tensor.is_floating_point() ? learner.types.storage : at::kLong);
  });
  std::vector<std::int64_t> samples(static_cast<std::size_t>(mine.size()));
  std::iota(samples.begin(), samples.end(), mine.begin);
  train::give_place(part, config, learner.net, {.first = mine.begin, .samples = samples, .step = 0});
  return part;
}

train::StepResult Trial::compute(const data::Batch& whole) {
  return step.compute(share(whole));
}

train::StepResult Trial::train(const data::Batch& whole) {
  train::StepResult result = compute(whole);
  step.update(kLearningRate);
  return result;
}

data::Batch trial_batch(std::uint64_t seed, std::int64_t num_images) {
  // Uniform numbers only: normal ones go through functions that differ in their last bit between processors.
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  const auto uniform = [&](std::int64_t channels) {
    return at::rand({num_images, channels, kSize, kSize}, generator, at::kFloat);
  };
  const at::Tensor image = uniform(3) * 4.0 - 2.0;
  const at::Tensor label = (uniform(1).squeeze(1) * kNumClasses).to(at::kLong).clamp_max(kNumClasses - 1);
  const at::Tensor depth = uniform(1) * 7.5 + 0.5;
  label.masked_fill_(uniform(1).squeeze(1) < 0.1, 255);
  depth.masked_fill_(uniform(1) < 0.1, 0.0);
  if (num_images > 2) {
    label[1].fill_(255);
    depth[2].fill_(0.0);
  }
  return {.image_n3hw = image, .targets = {{"seg", label}, {"depth", depth}}};
}

std::int64_t trial_batch_size(std::int64_t step, int num_ranks) {
  return std::clamp<std::int64_t>(step % 2 == 0 ? num_ranks + 1 : num_ranks - 1, 1, 9);
}

double deviation(const at::Tensor& found, const at::Tensor& expected) {
  check(found.sizes() == expected.sizes(), "a tensor of {} where one of {} was expected",
        fmt::join(found.sizes(), " x "), fmt::join(expected.sizes(), " x "));
  if (expected.numel() == 0) {
    return 0.0;
  }
  const at::Tensor a = found.detach().to(at::kCPU, at::kDouble);
  const at::Tensor b = expected.detach().to(at::kCPU, at::kDouble);
  return (a - b).abs().max().item<double>() / std::max(b.abs().max().item<double>(), 1e-30);
}

void Worst::add(double other, const std::string& its_name) {
  if (!std::isnan(value) && (std::isnan(other) || other > value || name.empty())) {
    value = other;
    name = its_name;
  }
}

Worst worst_deviation(const NamedValues& found, const NamedValues& expected) {
  check(found.size() == expected.size(), "{} tensors where {} were expected", found.size(), expected.size());
  Worst worst;
  for (std::size_t i = 0; i < found.size(); ++i) {
    check(found[i].first == expected[i].first, "{} where {} was expected", found[i].first, expected[i].first);
    worst.add(deviation(found[i].second, expected[i].second), found[i].first);
  }
  return worst;
}

std::string first_difference(const NamedValues& a, const NamedValues& b) {
  check(a.size() == b.size(), "{} tensors and {} tensors", a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].first != b[i].first || !at::equal(a[i].second, b[i].second)) {
      return a[i].first;
    }
  }
  return {};
}

NamedValues with_influence(NamedValues values, const config::ModelSection& section) {
  const std::set<std::string> without = net::biases_before_norms(section);
  std::erase_if(values, [&without](const auto& named) { return without.contains(named.first); });
  return values;
}

ThreadsFor::ThreadsFor(int num_threads) : before_(at::get_num_threads()) {
  at::set_num_threads(num_threads);
}

ThreadsFor::~ThreadsFor() {
  at::set_num_threads(before_);
}

}  // namespace xtasc::launch
