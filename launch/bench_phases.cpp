#include "launch/bench_phases.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sweep/work.hpp"

namespace xtasc::launch {

namespace {

constexpr double kGiga = 1e9;

/// FLOP/s of what does `flop` operations a call: the best of several. Collective.
double best_rate(const dist::MpiSession& session, at::Device device, double flop, const std::function<void()>& work) {
  double best = 0.0;
  constexpr int kCalls = 8;
  for (int call = 0; call < kCalls; ++call) {
    session.barrier();
    const double seconds = seconds_of([&] {
      work();
      wait_for(device);
    });
    best = std::max(best, flop / slowest(session, seconds));
  }
  return best;
}

/// FLOP/s of one rank with all at work: the better of a matrix product and a convolution by torch's libraries.
double measured_peak(const dist::MpiSession& session, at::Device device, at::ScalarType type) {
  const c10::NoGradGuard no_grad;
  const auto options = at::TensorOptions().dtype(type).device(device);
  const std::int64_t size = device.is_cuda() ? 8192 : 1024;
  const at::Tensor a = at::ones({size, size}, options);
  const double product =
      best_rate(session, device, 2.0 * static_cast<double>(size * size * size), [&] { std::ignore = at::mm(a, a); });
  constexpr std::int64_t kChannels = 64, kHeight = 128, kWidth = 256;
  const std::int64_t images = device.is_cuda() ? 64 : 2;
  const auto last = at::MemoryFormat::ChannelsLast;
  const at::Tensor x = at::ones({images, kChannels, kHeight, kWidth}, options).contiguous(last);
  const at::Tensor w = at::ones({kChannels, kChannels, 3, 3}, options).contiguous(last);
  const double flop = 2.0 * static_cast<double>(images * kHeight * kWidth * kChannels * kChannels * 9);
  const double convolution =
      best_rate(session, device, flop, [&] { std::ignore = at::conv2d(x, w, {}, 1, /*padding=*/1); });
  return std::max(product, convolution);
}

}  // namespace

PhaseTable::PhaseTable(Contestant& contestant, const StepBench& options, const dist::MpiSession& session,
                       const config::RunConfig& config, at::Device device) {
  for (int round = 0; round < options.rounds; ++round) {
    const auto seconds = contestant.take_step_by_phases();
    for (std::size_t i = 0; i < kNumPhases; ++i) {
      timings_[i].seconds.push_back(seconds[i]);
    }
  }
  const sweep::ImageWork work = sweep::work_of_image(config, options.height, options.width, options.num_classes);
  const double scale = 2.0 * static_cast<double>(config.train.batch_size);
  const auto set = [&](train::Phase phase, double multiply_adds) {
    flop_[static_cast<std::size_t>(phase)] = scale * multiply_adds;
  };
  set(train::Phase::encoder, work.encoder);
  set(train::Phase::decoders, work.decoders);
  set(train::Phase::transfer_nets, work.transfer_nets);
  set(train::Phase::backward, work.step - work.forward);
  peak_ = measured_peak(session, device, contestant.learner().types.compute) * session.size();
}

std::string PhaseTable::text() const {
  std::string text = fmt::format("{:<24} {:>10} {:>8} {:>10} {:>8}\n", "phase", "ms", "share", "GFLOP/s", "of peak");
  double total = 0.0;
  double total_flop = 0.0;
  for (std::size_t i = 0; i < kNumPhases; ++i) {
    total += timings_[i].median();
    total_flop += flop_[i];
  }
  const auto line = [&](std::string_view name, double seconds, double flop) {
    text += fmt::format("{:<24} {:>10.1f} {:>6.1f} %", name, 1e3 * seconds, 100.0 * seconds / total);
    if (flop > 0.0) {
      text += fmt::format(" {:>10.0f} {:>6.0f} %", flop / seconds / kGiga, 100.0 * flop / seconds / peak_);
    }
    text += '\n';
  };
  for (std::size_t i = 0; i < kNumPhases; ++i) {
    line(train::kPhaseNames[i], timings_[i].median(), flop_[i]);
  }
  line("all", total, total_flop);
  return text + fmt::format(
                    "Peak: {:.0f} GFLOP/s, measured here by torch's own convolution and matrix product. "
                    "Arithmetic is the plain form's: what is\nsaved by a rewrite counts as done.\n",
                    peak_ / kGiga);
}

nlohmann::json PhaseTable::json() const {
  nlohmann::json result = {{"peak_GFLOP_per_s", peak_ / kGiga}};
  for (std::size_t i = 0; i < kNumPhases; ++i) {
    const double seconds = timings_[i].median();
    nlohmann::json one = {{"name", train::kPhaseNames[i]}, {"seconds", to_json(timings_[i])}};
    if (flop_[i] > 0.0) {
      one["GFLOP_per_s"] = flop_[i] / seconds / kGiga;
      one["of_peak"] = flop_[i] / seconds / peak_;
    }
    result["phases"].push_back(one);
  }
  return result;
}

}  // namespace xtasc::launch
