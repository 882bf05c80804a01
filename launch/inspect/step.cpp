#include <ATen/ATen.h>

#include <numeric>

#include "core/error.hpp"
#include "core/log.hpp"
#include "data/sampler.hpp"
#include "dist/communicator.hpp"
#include "io/checksum.hpp"
#include "launch/inspect/inspect.hpp"
#include "task/task.hpp"
#include "tensorfile/tensor_file.hpp"
#include "train/agreement.hpp"
#include "train/health.hpp"
#include "train/prefixes.hpp"
#include "train/setup.hpp"
#include "train/step.hpp"
#include "train/weights.hpp"

namespace xtasc::launch {

namespace {

using tensorfile::TensorDict;

/// The samples, checked against the contract: images, a truth a task of the net by the task's key, and, where images
/// lack labels of a task, which have some.
struct Samples {
  at::Tensor image;
  loss::Targets truths;
};

const at::Tensor& sample_tensor(const TensorDict& samples, const std::string& path, const std::string& name,
                                const task::Tasks& tasks) {
  const auto found = samples.find(name);
  if (found == samples.end()) {
    std::string expected = "image";
    for (const task::Task& task : tasks) {
      expected += (task.key == tasks.back().key ? " and " : ", ") + std::string(task.truth);
    }
    fail("{}: no tensor \"{}\"; {} are expected", path, name, expected);
  }
  return found->second;
}

/// A number, or a vector of length 1, which is 0 where it is not known. \param truth  (N, C, H, W)
void check_values(const std::string& file, const task::Task& task, const at::Tensor& truth) {
  check(truth.isfinite().all().item<bool>(), "{}: {} must be finite, and 0 where it is not known", file, task.truth);
  if (task.kind == task::Kind::unit_vector) {
    const at::Tensor length = truth.to(at::kDouble).norm(2, 1);
    check(((length == 0) | ((length - 1.0).abs() < 1e-3)).all().item<bool>(),
          "{}: {} must be of length 1, or 0 where they are not known", file, task.truth);
  }
}

Samples read_samples(const std::filesystem::path& path, const task::Tasks& tasks, std::int64_t num_classes) {
  const TensorDict dict = tensorfile::read_tensor_dict(path);
  const std::string file = path.string();
  const auto hold_to = [&file](const std::string& name, const at::Tensor& tensor, at::IntArrayRef shape,
                               bool is_integer) {
    const bool is_of_type = is_integer ? tensor.scalar_type() == at::kLong : tensor.is_floating_point();
    check(is_of_type && tensor.sizes() == shape, "{}: {} must be {} {}, found {} {}", file, name,
          is_integer ? "int64" : "floating point", fmt::join(shape, " x "), c10::toString(tensor.scalar_type()),
          fmt::join(tensor.sizes(), " x "));
  };
  Samples samples = {.image = sample_tensor(dict, file, "image", tasks), .truths = {}};
  const at::Tensor& image = samples.image;
  check(image.dim() == 4 && image.size(1) == 3 && image.is_floating_point(),
        "{}: image must be floating point N x 3 x H x W, found {} {}", file, c10::toString(image.scalar_type()),
        fmt::join(image.sizes(), " x "));
  const auto n = image.size(0);
  const auto h = image.size(2);
  const auto w = image.size(3);
  check(n > 0, "{}: no samples", file);
  check(image.isfinite().all().item<bool>(), "{}: image must be finite", file);
  for (const task::Task& task : tasks) {
    const std::string name(task.truth);
    const at::Tensor& truth = sample_tensor(dict, file, name, tasks);
    if (task.kind == task::Kind::classes) {
      hold_to(name, truth, {n, h, w}, true);
      const at::Tensor known = (truth >= 0) & ((truth < num_classes) | (truth == task::kIgnoreLabel));
      check(known.all().item<bool>(), "{}: labels must be 0 to {}, or 255 for ignored", file, num_classes - 1);
    } else {
      hold_to(name, truth, {n, task.channels, h, w}, false);
      check_values(file, task, truth);
    }
    samples.truths.emplace(task.key, truth);
    const std::string flags = fmt::format("has_{}", task.key);
    if (const auto found = dict.find(flags); found != dict.end()) {
      check(found->second.scalar_type() == at::kByte && found->second.sizes() == at::IntArrayRef({n}),
            "{}: {} must be uint8 {}, found {} {}", file, flags, n, c10::toString(found->second.scalar_type()),
            fmt::join(found->second.sizes(), " x "));
      check(!found->second.gt(1).any().item<bool>(), "{}: {} must be 0 or 1", file, flags);
      samples.truths.emplace(task::flags_key(task.key), found->second);
    }
  }
  return samples;
}

/// What the weighting method keeps, where the file has it ("weighting.nadir", "weighting.logits" ...), else as it
/// begins. Leaves in the file what the method publishes with the weights. \returns the epoch that the method is in
std::int64_t take_method_state(const train::Learner& learner, const config::RunConfig& config, TensorDict& weights,
                               const std::string& path) {
  const weighting::NamedTensors published = learner.weighting->weights();
  for (const auto& tensors : {published, learner.weighting->state()}) {
    for (const auto& [name, tensor] : tensors) {
      if (const auto found = weights.find(name); found != weights.end()) {
        check(found->second.sizes() == tensor.sizes() && found->second.is_floating_point(),
              "{}: {} must be floating point {}, found {} {}", path, name, fmt::join(tensor.sizes(), " x "),
              c10::toString(found->second.scalar_type()), fmt::join(found->second.sizes(), " x "));
        tensor.copy_(found->second);
        weights.erase(found);
      }
    }
  }
  for (const auto& [name, tensor] : published) {
    weights[name] = tensor.clone();
  }
  const auto nadir = weights.find("weighting.nadir");
  const bool is_warm = nadir != weights.end() && nadir->second.gt(0.0).any().item<bool>();
  return is_warm ? config.weighting.warm_up_epochs + 1 : 0;
}

/// All ranks' parts of a prediction in order, on every rank: each adds its own rows to zeros.
at::Tensor all_rows(const at::Tensor& part, const data::Range& mine, std::int64_t num_samples,
                    dist::Communicator& communicator) {
  std::vector<std::int64_t> shape = part.sizes().vec();
  shape[0] = num_samples;
  at::Tensor whole = at::zeros(shape, part.options().memory_format(at::MemoryFormat::Contiguous));
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
  TensorDict weights = train::read_network_file(files.weights.string(), config.model);
  net::Sizes sizes = train::sizes_of(config.model, files.weights.string(), weights);
  train::Learner learner(config, sizes, device);
  const std::int64_t epoch = take_method_state(learner, config, weights, files.weights.string());
  train::load_weights(learner, files.weights.string(), weights);
  const Samples samples = read_samples(files.samples, learner.net.tasks(), sizes.num_classes);
  sizes.height = samples.image.size(2);
  sizes.width = samples.image.size(3);
  const train::TeacherWeights teachers =
      session.rank() == 0 ? train::read_teachers(config, sizes) : train::TeacherWeights();
  train::load_teachers(learner, config, sizes, teachers, *communicator);

  const std::int64_t num_samples = samples.image.size(0);
  train::check_batch_norm(config.model, num_samples, num_samples, 0, samples.image.size(2), samples.image.size(3));
  const data::Range mine = data::share_of({0, num_samples}, session.rank(), session.size());
  const auto rows = [&](const at::Tensor& tensor, at::ScalarType type) {
    return tensor.narrow(0, mine.begin, mine.size()).to(device, type);
  };
  data::Batch batch = {.image_n3hw = rows(samples.image, learner.types.storage), .targets = {}};
  for (const auto& [task, truth] : samples.truths) {
    batch.targets.emplace(task, rows(truth, truth.is_floating_point() ? learner.types.storage : truth.scalar_type()));
  }

  const auto out_type = learner.types.storage == at::kDouble ? at::kDouble : at::kFloat;
  TensorDict output;
  std::vector<at::Tensor> totals;
  train::Step step(config, learner, *communicator);
  std::vector<std::int64_t> places(static_cast<std::size_t>(mine.size()));
  std::iota(places.begin(), places.end(), mine.begin);
  for (std::int64_t i = 0; i < std::max<std::int64_t>(files.num_steps, 1); ++i) {
    train::give_place(batch, config, learner.net, {.first = mine.begin, .samples = places, .step = i});
    const train::StepResult result = step.compute(batch, {.epoch = epoch, .step = i});
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
