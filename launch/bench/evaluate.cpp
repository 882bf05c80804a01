#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "config/enums.hpp"
#include "core/log.hpp"
#include "core/temp_folder.hpp"
#include "core/user_path.hpp"
#include "data/dataset.hpp"
#include "launch/bench/bench.hpp"
#include "launch/common/noise_pack.hpp"
#include "pack/reader.hpp"
#include "train/evaluate.hpp"
#include "train/setup.hpp"

namespace xtasc::launch {

nlohmann::json bench_evaluate(const EvaluateBench& options, const dist::MpiSession& session,
                              const config::RunConfig& config) {
  const at::Device device = train::choose_device(config.run, session);
  train::configure_torch(config, session);
  std::optional<TempFolder> scratch;
  std::string path = options.pack;
  require_input("--pack", path);
  if (path.empty()) {
    if (session.rank() == 0) {
      scratch.emplace(options.scratch, "xtasc-bench");
      path = (scratch->path() / "bench.h5").string();
      log_info("making a pack of {} samples of 128 x 256", options.samples);
      write_noise_pack(
          path, {.train = 1, .val = options.samples, .has_normals = config::system_of(config.model).has("normals")});
    }
    path = session.broadcast(path);
  }
  const pack::Reader reader(path);
  const std::size_t label_set = pack::find_label_set(reader.schema(), config.data.label_set);
  const auto num_classes = static_cast<std::int64_t>(reader.schema().label_sets[label_set].class_names.size());
  const data::Dataset val(reader, pack::Split::val, {label_set, config.data.normalise}, device);
  const train::Learner learner(config, {num_classes, val.height(), val.width(), config.train.batch_size}, device);
  const auto communicator = dist::make_communicator(session, device.type(), train::sharing_of(config.run));

  Timing timing;
  for (int round = -1; round < options.rounds; ++round) {
    session.barrier();
    const double seconds =
        slowest(session, seconds_of([&] { std::ignore = train::evaluate(config, learner, val, *communicator); }));
    if (round >= 0) {  // the first one also makes oneDNN's kernels
      timing.seconds.push_back(seconds);
    }
  }
  session.barrier();
  const double images = static_cast<double>(val.size()) / timing.median();
  if (session.rank() == 0) {
    fmt::print("{} {} {}: {} images of {} x {} in {:.3f} s ({:.3f} to {:.3f}), {:.2f} images/s, {} rank{}\n",
               config.model.system, config::encoder_of(config.model), config::name(config.run.precision), val.size(),
               val.height(), val.width(), timing.median(), timing.min(), timing.max(), images, session.size(),
               session.size() == 1 ? "" : "s");
  }
  nlohmann::json result = describe_work(config,
                                        {.num_classes = num_classes,
                                         .height = val.height(),
                                         .width = val.width(),
                                         .batch_size = config.evaluate.batch_size},
                                        session, device);
  result.erase("weighting");  // an evaluation weighs nothing
  result["images"] = val.size();
  result["evaluate"] = to_json(timing);
  result["images_per_second"] = images;
  return result;
}

}  // namespace xtasc::launch
