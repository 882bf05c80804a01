#include "launch/bench/peer_steps.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/error.hpp"
#include "launch/bench/peer_config.hpp"
#include "task/task.hpp"
#include "tensorfile/tensor_file.hpp"

namespace xtasc::launch {

namespace {

/// Writes W.pt and S.pt, which the peer starts from. \returns the peer's arguments
std::vector<std::string> arguments_of(const StepBench& options, const config::RunConfig& config, const Contestant& ours,
                                      at::Device device, const std::filesystem::path& folder) {
  tensorfile::TensorDict weights;
  for (const auto& [name, tensor] : ours.learner().weights()) {
    weights[name] = tensor.detach().cpu();
  }
  if (ours.learner().teachers) {
    for (const auto& [name, tensor] : ours.learner().teachers->weights()) {
      weights["teachers." + name] = tensor.cpu();
    }
  }
  nlohmann::json peer = peer_options(config);
  if (!net::sized_by(config.model).empty()) {
    peer["height"] = options.height;
    peer["width"] = options.width;
    peer["batch_size"] = config.train.batch_size;
  }
  const data::Batch batch = ours.draw().front();  // the peer follows no train.accumulate
  const auto weights_path = folder / "W.pt";
  const auto samples_path = folder / "S.pt";
  tensorfile::write_tensor_dict(weights_path, weights);
  tensorfile::TensorDict samples = {{"image", batch.image_n3hw.cpu()}};
  for (const task::Task& task : ours.learner().net.tasks()) {
    samples[std::string(task.truth)] = batch.truth_of(task.key).cpu();
    if (const auto flags = batch.targets.find(task::flags_key(task.key)); flags != batch.targets.end()) {
      samples[fmt::format("has_{}", task.key)] = flags->second.cpu();
    }
  }
  if (batch.draws_nk.defined()) {
    samples["draws"] = batch.draws_nk.cpu();
  }
  tensorfile::write_tensor_dict(samples_path, samples);
  return {"--weights", weights_path.string(),
          "--samples", samples_path.string(),
          "--options", peer.dump(),
          "--classes", std::to_string(options.num_classes),
          "--threads", std::to_string(at::get_num_threads()),
          "--device",  device.str()};
}

}  // namespace

PeerSteps::PeerSteps(const StepBench& options, const config::RunConfig& config, const Contestant& ours,
                     at::Device device)
    : scratch_({}, "xtasc-bench") {
  const std::vector<std::string> arguments = arguments_of(options, config, ours, device, scratch_.path());
  for (const std::string_view name : {"best", "graph", "compiled", "eager"}) {
    if ((name != "compiled" || options.peer_compiled) && (name != "graph" || device.is_cuda())) {
      std::vector<std::string> words = {"--form", std::string(name)};
      words.insert(words.end(), arguments.begin(), arguments.end());
      forms_.push_back({.name = std::string(name), .process = std::make_unique<PeerProcess>("bench_step.py", words)});
    }
  }
}

void PeerSteps::take_turn(double own_seconds) {
  for (Form& form : forms_) {
    const nlohmann::json answer = form.process->ask("step");
    form.step.seconds.push_back(answer.at("seconds").get<double>());
    form.ratio.seconds.push_back(form.step.seconds.back() / own_seconds);
    form.peak_bytes = answer.at("peak_bytes").get<std::int64_t>();
    form.first_losses = answer.at("first_losses").get<std::vector<double>>();
    form.idle_cpu_seconds = std::max(form.idle_cpu_seconds, answer.at("idle_cpu_seconds").get<double>());
  }
}

nlohmann::json PeerSteps::report(const at::Tensor& first_losses, std::int64_t own_peak_bytes) const {
  nlohmann::json result = {{"about", nlohmann::json::parse(forms_.front().process->greeting())}};
  constexpr double kMebibyte = 1024.0 * 1024.0;
  for (const Form& form : forms_) {
    double deviation = 0.0;
    for (std::size_t i = 0; i < form.first_losses.size(); ++i) {
      const double own = first_losses[static_cast<std::int64_t>(i)].item<double>();
      const double size = std::max(std::abs(own), 1e-12);
      deviation = std::max(deviation, std::abs(form.first_losses[i] - own) / size);
    }
    constexpr double kSameWork = 0.05;  // far more than what bfloat16 rounds
    check(deviation < kSameWork, "PyTorch, {}: losses of the first step differ from ours by {:.2g} of their value",
          form.name, deviation);
    const double memory_ratio = static_cast<double>(form.peak_bytes) / static_cast<double>(own_peak_bytes);
    result[form.name] = {{"step", to_json(form.step)},
                         {"ratio", to_json(form.ratio)},
                         {"peak_bytes", form.peak_bytes},
                         {"memory_ratio", memory_ratio},
                         {"idle_cpu_seconds", form.idle_cpu_seconds},
                         {"first_losses_deviation", deviation}};
    fmt::print(
        "PyTorch, {:<9} {:.3f} s a step ({:.3f} to {:.3f}): {:.2f} times ours ({:.2f} to {:.2f}); "
        "{:.0f} MiB, {:.2f} times ours; losses of the first step within {:.1e}\n",
        form.name + ":", form.step.median(), form.step.min(), form.step.max(), form.ratio.median(), form.ratio.min(),
        form.ratio.max(), static_cast<double>(form.peak_bytes) / kMebibyte, memory_ratio, deviation);
  }
  return result;
}

}  // namespace xtasc::launch
