#include <ATen/ATen.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "config/enums.hpp"
#include "core/error.hpp"
#include "core/temp_folder.hpp"
#include "deploy/onnx_model.hpp"
#include "deploy/recording.hpp"
#include "io/atomic_file.hpp"
#include "launch/bench/bench.hpp"
#include "launch/bench/peer_process.hpp"
#include "train/setup.hpp"

namespace xtasc::launch {

nlohmann::json bench_export(const ExportBench& options, const dist::MpiSession& session,
                            const config::RunConfig& config) {
  if (session.size() > 1 || train::types_of(config.run.precision).compute != at::kFloat) {
    fail_usage("export: exported nets are compared on one rank, in fp32");
  }
  train::configure_torch(config, session);
  const train::Learner learner(config, {options.num_classes, options.height, options.width, options.batch}, at::kCPU);
  learner.network->freeze();
  const deploy::ImageForm form = {.height = options.height, .width = options.width};
  const std::unique_ptr<model::Network> folded = learner.net.folded();
  const at::Tensor images = at::zeros(form.shape(options.batch), at::kByte);
  const TempFolder scratch(options.scratch, "xtasc-bench");
  const std::string file = (scratch.path() / "model.onnx").string();
  std::optional<PeerProcess> peer;
  if (options.peer) {
    io::write_file_atomically(file, std::string_view(deploy::onnx_bytes(deploy::record(learner.net, form), {})));
    peer.emplace("bench_export.py", std::vector<std::string>{"--model", file, "--images", std::to_string(options.batch),
                                                             "--threads", std::to_string(at::get_num_threads())});
  }
  Timing own, onnx, ratio;
  for (int round = -1; round < options.rounds; ++round) {
    const double seconds = seconds_of([&] { std::ignore = deploy::results_of(*folded, images, form); });
    const double of_peer = peer ? peer->ask("images").at("seconds").get<double>() : 0.0;
    if (round >= 0) {  // the first one also makes the libraries' kernels
      own.seconds.push_back(seconds);
      onnx.seconds.push_back(of_peer);
      ratio.seconds.push_back(of_peer / seconds);
    }
  }
  const auto images_per_second = [&](const Timing& timing) {
    return static_cast<double>(options.batch) / timing.median();
  };
  fmt::print("{} {}: {} images of {} x {} in {:.4f} s ({:.4f} to {:.4f}), {:.2f} images/s, {} threads\n",
             config.model.system, config::encoder_of(config.model), options.batch, options.height, options.width,
             own.median(), own.min(), own.max(), images_per_second(own), at::get_num_threads());
  nlohmann::json result = describe_work(config,
                                        {.num_classes = options.num_classes,
                                         .height = options.height,
                                         .width = options.width,
                                         .batch_size = options.batch},
                                        session, at::kCPU);
  result.erase("weighting");  // a prediction weighs nothing
  result["predict"] = to_json(own);
  result["images_per_second"] = images_per_second(own);
  if (peer) {
    fmt::print(
        "onnxruntime on the exported file: {:.4f} s ({:.4f} to {:.4f}), {:.2f} images/s; its times are {:.2f} "
        "({:.2f} to {:.2f}) of ours\n",
        onnx.median(), onnx.min(), onnx.max(), images_per_second(onnx), ratio.median(), ratio.min(), ratio.max());
    result["onnxruntime"] = {{"version", nlohmann::json::parse(peer->greeting()).at("onnxruntime")},
                             {"predict", to_json(onnx)},
                             {"ratio", to_json(ratio)},
                             {"images_per_second", images_per_second(onnx)}};
  }
  return result;
}

}  // namespace xtasc::launch
