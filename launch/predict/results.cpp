#include "launch/predict/results.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "config/enums.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "core/version.hpp"
#include "io/atomic_file.hpp"
#include "run/weights_digest.hpp"
#include "tensorfile/tensor_file.hpp"

namespace xtasc::launch {

namespace {

namespace fs = std::filesystem;
using json_fields::Json;

constexpr std::string_view kFactsName = "predictions.json";
constexpr std::string_view kTensorEnding = ".pt";

/// What results follow from, besides the images.
Json recipe_of(const LoadedModel& model, const DataFacts& facts, bool at_net_size) {
  return {{"weights_digest", run::digest_of_weights(model.weights_path.string())},
          {"precision", config::name(model.config.run.precision)},
          {"size", fmt::format("{}x{}", facts.height, facts.width)},
          {"resize", name_of(facts.resize)},
          {"orientation", facts.orientation == "ignore" ? "ignore" : "apply"},
          {"result_size", at_net_size ? "net" : "own"}};
}

void check_same_recipe(const Json& recipe, const fs::path& path) {
  const Json known = [&path] {
    try {
      return json_fields::field(json_fields::parse(io::read_file(path)), "recipe");
    } catch (const Error& error) {
      fail("{}: {}", path.string(), error.what());
    }
  }();
  for (const auto& [key, value] : recipe.items()) {
    if (!known.contains(key) || known[key] != value) {
      fail_usage("--skip-existing: the results in {} are of another {}, {} instead of {}: name another --output",
                 path.parent_path().string(), key, known.contains(key) ? known[key].dump() : "none", value.dump());
    }
  }
}

}  // namespace

Results::Results(fs::path folder, task::Tasks tasks, ResultForm form)
    : folder_(std::move(folder)), tasks_(std::move(tasks)), form_(form) {}

void Results::begin(const LoadedModel& model, const DataFacts& facts, bool skips_existing) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) {
    fail_usage("--output: cannot create {}: {}", folder_.string(), error.message());
  }
  const fs::path path = folder_ / kFactsName;
  const Json recipe = recipe_of(model, facts, form_.at_net_size);
  if (skips_existing && fs::exists(path)) {
    check_same_recipe(recipe, path);
    begun_ = fs::last_write_time(path);
  } else {
    Json json = {{"made_by", "xtasc-predict " + version_text()},
                 {"weights", model.weights_path.string()},
                 {"recipe", recipe},
                 {"class_names", facts.class_names},
                 {"class_colors", facts.class_colors},
                 {"depth_unit", facts.depth_unit}};
    facts_ = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  }
}

bool Results::are_there(const fs::path& name) const {
  const auto is_there = [&](std::string_view ending) {
    std::error_code error;
    const auto time = fs::last_write_time(folder_ / (name.string() + std::string(ending)), error);
    return !error && time >= begun_;
  };
  const bool has_maps = std::ranges::all_of(tasks_, [&](const task::Task& task) {
    return std::ranges::all_of(output_of(task).endings, [&](std::string_view ending) {
      return is_there(name_ending(task) + std::string(ending));
    });
  });
  return has_maps && (!form_.has_tensors || is_there(kTensorEnding));
}

void Results::write(const std::map<std::string, at::Tensor, std::less<>>& predictions, const fs::path& name,
                    std::int64_t height, std::int64_t width) const {
  std::call_once(facts_are_written_, [this] {
    if (!facts_.empty()) {
      io::write_file_atomically(folder_ / kFactsName, facts_);
    }
  });
  const fs::path stem = folder_ / name;
  std::error_code error;
  fs::create_directories(stem.parent_path(), error);
  check(!error, "cannot create {}: {}", stem.parent_path().string(), error.message());
  if (form_.has_tensors) {
    tensorfile::TensorDict given;
    for (const auto& [key, tensor] : predictions) {
      given[key] = tensor.to(tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
    }
    tensorfile::write_tensor_dict(stem.string() + std::string(kTensorEnding), given);
  }
  for (const task::Task& task : tasks_) {
    const KindOutput& output = output_of(task);
    const at::Tensor& own = predictions.find(task.key)->second;
    const bool fits = form_.at_net_size || (own.size(2) == height && own.size(3) == width);
    const at::Tensor resized = fits ? own : at::upsample_bilinear2d(own, {height, width}, /*align_corners=*/true);
    output.write(model::predicted_map(task, resized), stem.string() + name_ending(task), own.size(1), resized.size(2),
                 resized.size(3));
  }
}

}  // namespace xtasc::launch
