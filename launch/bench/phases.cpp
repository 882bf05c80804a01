#include "launch/bench/phases.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/text_table.hpp"
#include "data/sampler.hpp"
#include "net/work.hpp"

namespace xtasc::launch {

namespace {

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
  const auto random = [&](at::IntArrayRef shape) {  // a processor may be faster with numbers that are all alike
    return at::randn(shape, at::TensorOptions().dtype(at::kFloat).device(device)).to(type);
  };
  const std::int64_t size = device.is_cuda() ? 8192 : 1024;
  const at::Tensor a = random({size, size});
  const double product =
      best_rate(session, device, 2.0 * static_cast<double>(size * size * size), [&] { std::ignore = at::mm(a, a); });
  constexpr std::int64_t kChannels = 64, kHeight = 128, kWidth = 256;
  const std::int64_t images = device.is_cuda() ? 64 : 2;
  const auto last = at::MemoryFormat::ChannelsLast;
  const at::Tensor x = random({images, kChannels, kHeight, kWidth}).contiguous(last);
  const at::Tensor w = random({kChannels, kChannels, 3, 3}).contiguous(last);
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
  const net::ImageWork work = net::work_of_image(config, options.height, options.width, options.num_classes);
  const double after = net::extra_passes(config).forward * work.losses;
  add_flop(plain_, static_cast<double>(config.train.batch_size),
           {.parts = work.parts,
            .teachers = work.teachers,
            .backward = work.step - work.forward - work.teachers - after,
            .after = after});
  const train::Types types = contestant.learner().types;
  for (int rank = 0; rank < session.size(); ++rank) {
    const StepShape shape = {.images = data::share_of({0, config.train.batch_size}, rank, session.size()).size(),
                             .height = options.height,
                             .width = options.width,
                             .num_classes = options.num_classes};
    const ExecutedWork work_of_rank = executed_work(config, shape, device, types.storage, types.compute);
    add_flop(executed_, 1.0, work_of_rank);
    if (rank == 0) {
      layers_ = {work_of_rank.winograd, work_of_rank.at_low_size, work_of_rank.plain};
    }
  }
  peak_ = measured_peak(session, device, types.compute) * session.size();
}

void PhaseTable::add_flop(PerPhase& flop, double times, const ExecutedWork& work) {
  const auto add = [&](train::Phase phase, double multiply_adds) {
    flop[static_cast<std::size_t>(phase)] += 2.0 * times * multiply_adds;
  };
  add(train::Phase::encoder, work.parts.encoder);
  add(train::Phase::decoders, work.parts.decoders);
  add(train::Phase::transfer_nets, work.parts.transfer_nets);
  add(train::Phase::losses, work.teachers);
  add(train::Phase::backward, work.backward);
  add(train::Phase::optimizer, work.after);
}

std::string PhaseTable::text() const {
  std::vector<std::vector<std::string>> cells = {{"phase", "ms", "share", "GFLOP/s", "of peak", "executed", "of peak"}};
  const Row all = total();
  const auto line = [&](std::string_view name, const Row& row) {
    auto& shown = cells.emplace_back();
    shown = {std::string(name), fmt::format("{:.1f}", 1e3 * row.seconds),
             fmt::format("{:.1f} %", 100.0 * row.seconds / all.seconds)};
    if (row.plain > 0.0) {
      for (const double flop : {row.plain, row.executed}) {
        shown.push_back(fmt::format("{:.0f}", flop / row.seconds / kGiga));
        shown.push_back(fmt::format("{:.0f} %", 100.0 * flop / row.seconds / peak_));
      }
    }
  };
  for (std::size_t i = 0; i < kNumPhases; ++i) {
    line(train::kPhaseNames[i], row(i));
  }
  line("all", all);
  return text_table(cells, 1) +
         fmt::format(
             "Peak: {:.0f} GFLOP/s, measured here by torch's own convolution and matrix product. GFLOP/s counts the\n"
             "arithmetic of the plain form, so what a rewrite saves counts as done; executed counts the products that\n"
             "are left: {:.0f} % of it.\n",
             peak_ / kGiga, 100.0 * all.executed / all.plain);
}

nlohmann::json PhaseTable::json() const {
  const auto rates = [this](const Row& row) {
    nlohmann::json one;
    if (row.plain > 0.0) {
      one = {{"GFLOP", row.plain / kGiga},
             {"GFLOP_per_s", row.plain / row.seconds / kGiga},
             {"of_peak", row.plain / row.seconds / peak_},
             {"executed_GFLOP", row.executed / kGiga},
             {"executed_GFLOP_per_s", row.executed / row.seconds / kGiga},
             {"executed_of_peak", row.executed / row.seconds / peak_}};
    }
    return one;
  };
  nlohmann::json result = {{"peak_GFLOP_per_s", peak_ / kGiga}};
  for (std::size_t i = 0; i < kNumPhases; ++i) {
    nlohmann::json one = rates(row(i));
    one["name"] = train::kPhaseNames[i];
    one["seconds"] = to_json(timings_[i]);
    result["phases"].push_back(one);
  }
  result["layers"] = {{"winograd", layers_[0]}, {"at_low_size", layers_[1]}, {"plain", layers_[2]}};
  result["all"] = rates(total());
  result["all"]["seconds"] = total().seconds;
  return result;
}

PhaseTable::Row PhaseTable::row(std::size_t phase) const {
  return {.seconds = timings_[phase].median(), .plain = plain_[phase], .executed = executed_[phase]};
}

PhaseTable::Row PhaseTable::total() const {
  Row all;
  for (std::size_t i = 0; i < kNumPhases; ++i) {
    const Row one = row(i);
    all.seconds += one.seconds;
    all.plain += one.plain;
    all.executed += one.executed;
  }
  return all;
}

}  // namespace xtasc::launch
