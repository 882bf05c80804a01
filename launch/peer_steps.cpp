#include "launch/peer_steps.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "config/enums.hpp"
#include "tensorfile/tensor_file.hpp"

namespace xtasc::launch {

namespace {

/// Writes W.pt and S.pt, which the peer starts from. \returns the peer's arguments
std::vector<std::string> arguments_of(const StepBench& options, const config::RunConfig& config, const Contestant& ours,
                                      const std::filesystem::path& folder) {
  tensorfile::TensorDict weights;
  for (const auto& [name, tensor] : ours.learner().weights()) {
    weights[name] = tensor.detach();
  }
  const data::Batch batch = ours.draw();
  const auto weights_path = folder / "W.pt";
  const auto samples_path = folder / "S.pt";
  tensorfile::write_tensor_dict(weights_path, weights);
  tensorfile::write_tensor_dict(samples_path,
                                {{"image", batch.image_n3hw}, {"label", batch.label_nhw}, {"depth", batch.depth_n1hw}});
  return {"--weights",   weights_path.string(),
          "--samples",   samples_path.string(),
          "--system",    std::string(config::name(config.model.system)),
          "--encoder",   std::string(config::name(config.model.encoder)),
          "--precision", std::string(config::name(config.run.precision)),
          "--classes",   std::to_string(options.num_classes),
          "--threads",   std::to_string(at::get_num_threads())};
}

}  // namespace

PeerSteps::PeerSteps(const StepBench& options, const config::RunConfig& config, const Contestant& ours)
    : scratch_({}, "xtasc-bench"), process_("bench_step.py", arguments_of(options, config, ours, scratch_.path())) {
  forms_.push_back({.name = "best"});
  if (options.peer_compiled) {
    forms_.push_back({.name = "compiled"});
  }
  forms_.push_back({.name = "eager"});
}

void PeerSteps::take_turn(double own_seconds) {
  for (Form& form : forms_) {
    const nlohmann::json answer = process_.ask(form.name);
    form.step.seconds.push_back(answer.at("seconds").get<double>());
    form.ratio.seconds.push_back(form.step.seconds.back() / own_seconds);
    form.peak_bytes = answer.at("peak_bytes").get<std::int64_t>();
    form.first_losses = answer.at("first_losses").get<std::vector<double>>();
  }
}

nlohmann::json PeerSteps::report(const at::Tensor& first_losses) const {
  nlohmann::json result = {{"about", nlohmann::json::parse(process_.greeting())}};
  constexpr double kMebibyte = 1024.0 * 1024.0;
  for (const Form& form : forms_) {
    double deviation = 0.0;
    for (std::size_t i = 0; i < form.first_losses.size(); ++i) {
      const double own = first_losses[static_cast<std::int64_t>(i)].item<double>();
      const double size = std::max(std::abs(own), 1e-12);
      deviation = std::max(deviation, std::abs(form.first_losses[i] - own) / size);
    }
    result[form.name] = {{"step", to_json(form.step)},
                         {"ratio", to_json(form.ratio)},
                         {"peak_bytes", form.peak_bytes},
                         {"first_losses_deviation", deviation}};
    fmt::print(
        "PyTorch, {:<9} {:.3f} s a step ({:.3f} to {:.3f}): {:.2f} times ours ({:.2f} to {:.2f}), {:.0f} MiB; "
        "losses of the first step within {:.1e}\n",
        form.name + ":", form.step.median(), form.step.min(), form.step.max(), form.ratio.median(), form.ratio.min(),
        form.ratio.max(), static_cast<double>(form.peak_bytes) / kMebibyte, deviation);
  }
  return result;
}

}  // namespace xtasc::launch
