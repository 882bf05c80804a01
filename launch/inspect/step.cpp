#include <ATen/ATen.h>

#include "core/error.hpp"
#include "core/log.hpp"
#include "data/sampler.hpp"
#include "dist/communicator.hpp"
#include "io/checksum.hpp"
#include "launch/inspect/inspect.hpp"
#include "tensorfile/tensor_file.hpp"
#include "train/agreement.hpp"
#include "train/health.hpp"
#include "train/setup.hpp"
#include "train/step.hpp"
#include "train/weights.hpp"

namespace xtasc::launch {

namespace {

using tensorfile::TensorDict;

/// The samples, checked against the contract, as this rank's batch in the net's type.
struct Samples {
  at::Tensor image, label, depth;
};

const at::Tensor& sample_tensor(const TensorDict& samples, const std::string& path, const char* name,
                                std::int64_t dims) {
  const auto found = samples.find(name);
  check(found != samples.end(), "{}: no tensor \"{}\"; image, label and depth are expected", path, name);
  check(found->second.dim() == dims, "{}: {} is {}, {} dimensions expected", path, name,
        fmt::join(found->second.sizes(), " x "), dims);
  return found->second;
}

Samples read_samples(const std::filesystem::path& path) {
  const TensorDict dict = tensorfile::read_tensor_dict(path);
  const std::string name = path.string();
  Samples samples = {sample_tensor(dict, name, "image", 4), sample_tensor(dict, name, "label", 3),
                     sample_tensor(dict, name, "depth", 4)};
  const auto& [image, label, depth] = samples;
  const auto n = image.size(0);
  const auto h = image.size(2);
  const auto w = image.size(3);
  check(image.size(1) == 3 && image.is_floating_point(), "{}: image must be floating point N x 3 x H x W, found {} {}",
        name, c10::toString(image.scalar_type()), fmt::join(image.sizes(), " x "));
  check(label.sizes() == at::IntArrayRef({n, h, w}) && label.scalar_type() == at::kLong,
        "{}: label must be int64 {} x {} x {}, found {} {}", name, n, h, w, c10::toString(label.scalar_type()),
        fmt::join(label.sizes(), " x "));
  check(depth.sizes() == at::IntArrayRef({n, 1, h, w}) && depth.is_floating_point(),
        "{}: depth must be floating point {} x 1 x {} x {}, found {} {}", name, n, h, w,
        c10::toString(depth.scalar_type()), fmt::join(depth.sizes(), " x "));
  check(n > 0, "{}: no samples", name);
  return samples;
}

/// All ranks' parts of a prediction in order, on every rank: each adds its own rows to zeros.
at::Tensor all_rows(const at::Tensor& part, const data::Range& mine, std::int64_t num_samples,
                    dist::Communicator& communicator) {
  std::vector<std::int64_t> shape = part.sizes().vec();
  shape[0] = num_samples;
  const at::Tensor whole = at::zeros(shape, part.options().memory_format(at::MemoryFormat::Contiguous));
  whole.narrow(0, mine.begin, mine.size()).copy_(part);
  communicator.sum(whole);
  return whole;
}

}  // namespace

void inspect_step(const dist::MpiSession& session, const config::RunConfig& config, const StepFiles& files) {
  train::check_same_run(session, config,
                        {{"the content of --weights", io::file_digest(files.weights)},
                         {"the content of --samples", io::file_digest(files.samples)}});
  const at::Device device = train::choose_device(config.run, session);
  train::configure_torch(config, session);
  const auto communicator = dist::make_communicator(session, device.type(), train::sharing_of(config.run));
  const TensorDict weights = tensorfile::read_tensor_dict(files.weights);
  const Samples samples = read_samples(files.samples);
  const std::int64_t num_classes = train::num_classes_of(config.model, files.weights.string(), weights);
  train::Learner learner(config, num_classes, device);
  train::load_weights(learner, files.weights.string(), weights);
  if (num_classes > 0) {
    const at::Tensor known = (samples.label >= 0) & ((samples.label < num_classes) | (samples.label == 255));
    check(known.all().item<bool>(), "{}: labels must be 0 to {}, or 255 for ignored", files.samples.string(),
          num_classes - 1);
  }

  const std::int64_t num_samples = samples.image.size(0);
  train::check_batch_norm(config.model, num_samples, num_samples, 0, samples.image.size(2), samples.image.size(3));
  const data::Range mine = data::share_of({0, num_samples}, session.rank(), session.size());
  const auto rows = [&](const at::Tensor& tensor, at::ScalarType type) {
    return tensor.narrow(0, mine.begin, mine.size()).to(device, type);
  };
  const data::Batch batch = {
      .image_n3hw = rows(samples.image, learner.types.storage),
      .targets = {{"seg", rows(samples.label, at::kLong)}, {"depth", rows(samples.depth, learner.types.storage)}}};

  const auto out_type = learner.types.storage == at::kDouble ? at::kDouble : at::kFloat;
  TensorDict output;
  std::vector<at::Tensor> totals;
  train::Step step(config, learner, *communicator);
  for (std::int64_t i = 0; i < std::max<std::int64_t>(files.num_steps, 1); ++i) {
    const train::StepResult result = step.compute(batch, {.epoch = 0, .step = i});
    totals.push_back(result.losses[-1]);
    if (i == 0) {
      for (const auto& [name, tensor] : result.predictions.named()) {
        output[name] = all_rows(tensor, mine, num_samples, *communicator).to(out_type);
      }
      const std::vector<std::string> names = step.loss_names();
      for (std::size_t k = 0; k < names.size(); ++k) {
        output["loss." + names[k]] = result.losses[static_cast<std::int64_t>(k)].to(out_type).clone();
      }
      for (const auto& [name, tensor] : learner.net.parameters().parameters()) {
        output["grad." + name] = tensor.grad().to(out_type).clone();
      }
      if (const at::Tensor gradients = learner.weighting->flat_gradients(); gradients.defined()) {
        const auto published = learner.weighting->weights();
        const auto named = published.empty() ? learner.weighting->state() : published;
        output["grad." + named.front().first] = gradients.to(out_type).clone();
      }
    }
    if (files.num_steps > 0) {
      step.update(config.train.learning_rate);
    }
  }
  if (files.num_steps > 0) {
    output["losses"] = at::stack(totals).to(out_type);
    for (const auto& [name, tensor] : learner.weights()) {
      output["weight." + name] = tensor.to(out_type).clone();
    }
  }
  if (session.rank() == 0) {
    tensorfile::write_tensor_dict(files.output, output);
    log_info("{}: {} tensors, loss {:.6f}", files.output.string(), output.size(), totals.front().item<double>());
  }
}

}  // namespace xtasc::launch
