#include "train/teachers.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <filesystem>
#include <system_error>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "io/checksum.hpp"
#include "loss/distillation.hpp"
#include "net/kd4mtl.hpp"
#include "run/run_id.hpp"
#include "run/teacher.hpp"
#include "run/weights_digest.hpp"
#include "train/checkpoint.hpp"
#include "train/prefixes.hpp"
#include "train/weights.hpp"

namespace xtasc::train {

namespace {

namespace fs = std::filesystem;
using tensorfile::TensorDict;

/// "stan (segmentation)"
std::string text_of(const config::ModelSection& model) {
  return config::words_of({&config::system_of(model)});
}

void read_teacher(const std::string& path, const config::ModelSection& teacher, const config::RunConfig& student,
                  const net::Sizes& sizes, TeacherWeights& weights) {
  const std::string task(config::system_of(teacher).tasks.front());
  std::error_code ignored;
  check(fs::exists(path, ignored), "there is no such file or folder");
  const run::RunFolder run{path};
  const bool is_run = fs::is_directory(path, ignored);
  run::check_teacher(path, teacher, {sizes.num_classes, sizes.height, sizes.width}, student);
  const Checkpoint best(run.checkpoints() / "best");
  TensorDict tensors = is_run ? best.weights() : read_network_file(path, teacher);
  const std::int64_t num_classes = num_classes_of(teacher, "its weights", tensors);
  check(num_classes != 1, "it is of another task: its head gives a single channel");
  check(num_classes == 0 || num_classes == sizes.num_classes, "it knows {} classes, the student's data have {}",
        num_classes, sizes.num_classes);
  const auto net = model::make_network(teacher, sizes, 0, at::kMeta, at::kFloat);
  check_network_weights(*net, "what it holds", tensors, text_of(teacher));
  weights.tensors.emplace(task, std::move(tensors));
  weights.digests[task] = io::file_digest(is_run ? best.weights_path() : fs::path(path));
  weights.recipes[task] = is_run ? run::recipe_digest(run::read_config_of(run)) : weights.digests[task];
}

}  // namespace

TeacherWeights read_teachers(const config::RunConfig& config, const net::Sizes& sizes) {
  TeacherWeights weights;
  for (const config::ModelSection& teacher : net::teachers_of(config.model)) {
    const std::string task(config::system_of(teacher).tasks.front());
    const std::string path = config.distillation.of(task).weights;
    if (path.empty()) {
      fail_usage(
          "model.system = \"{}\" learns from a teacher for each task: set distillation.teacher_{} to a run of {}",
          config.model.system, task, text_of(teacher));
    }
    try {
      read_teacher(path, teacher, config, sizes, weights);
    } catch (const Error& error) {
      const std::string first = error.details().empty() ? "" : fmt::format("; {}", error.details().front());
      fail_usage("distillation.teacher_{} = \"{}\": {}{}", task, path, error.what(), first);
    }
  }
  return weights;
}

Teachers::Teachers(const config::RunConfig& config, const net::Sizes& sizes, at::Device device, at::ScalarType storage)
    : trains_(config.distillation.teacher_batch_norm == config::TeacherBatchNorm::train),
      rewrites_(config.train.rewrites) {
  for (const config::ModelSection& teacher : net::teachers_of(config.model)) {
    teachers_.push_back(
        {.task = std::string(config::system_of(teacher).tasks.front()),
         .network = model::make_network(teacher, sizes, static_cast<std::uint64_t>(config.run.seed), device, storage),
         .folded = nullptr});
    teachers_.back().network->freeze();
  }
  fold();
}

void Teachers::fold() {
  for (Teacher& teacher : teachers_) {
    teacher.folded = trains_ || !rewrites_ ? nullptr : teacher.network->folded();
  }
}

void Teachers::load(const TeacherWeights& weights, dist::Communicator& communicator) {
  for (const Teacher& teacher : teachers_) {
    if (communicator.rank() == 0) {
      load_network_weights(*teacher.network, "the teacher of " + teacher.task, weights.tensors.at(teacher.task));
    }
    const model::ParameterSet& set = teacher.network->parameters();
    communicator.broadcast(set.flat_values());
    for (const auto& [name, tensor] : set.buffers()) {
      communicator.broadcast(tensor);
    }
  }
  fold();
}

void Teachers::teach(const at::Tensor& image_n3hw, const model::Mode& student, loss::Targets& targets) const {
  const c10::NoGradGuard no_grad;
  const model::Mode mode = {.training = trains_,
                            .compute = student.compute,
                            .sum_over_ranks = student.sum_over_ranks,
                            .moves_running_statistics = false,
                            .rewrites = student.rewrites,
                            .pads_channels = student.pads_channels,
                            .wants_features = true};
  for (const Teacher& teacher : teachers_) {
    const model::Network& net = teacher.folded ? *teacher.folded : *teacher.network;
    const auto features = net.forward(image_n3hw, mode).features.at(teacher.task);
    for (std::size_t k = 0; k < features.size(); ++k) {
      targets.emplace(loss::feature_key(teacher.task, k), features[k]);
    }
  }
}

std::vector<std::pair<std::string, at::Tensor>> Teachers::weights() const {
  std::vector<std::pair<std::string, at::Tensor>> all;
  for (const Teacher& teacher : teachers_) {
    const model::ParameterSet& set = teacher.network->parameters();
    for (const auto* tensors : {&set.parameters(), &set.buffers()}) {
      for (const auto& [name, tensor] : *tensors) {
        all.emplace_back(fmt::format("{}.{}", teacher.task, name), tensor);
      }
    }
  }
  return all;
}

}  // namespace xtasc::train
