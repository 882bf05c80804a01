#include "preprocess/datasets/scenes_dataset.hpp"

#include <fmt/format.h>

#include <utility>

#include "core/error.hpp"
#include "preprocess/scenes/scenes.hpp"

namespace xtasc::preprocess {

ScenesDataset::ScenesDataset(std::int64_t num_train, std::int64_t num_val, std::uint64_t seed, Size size,
                             bool with_normals)
    : seed_(seed) {
  constexpr std::int64_t kMaxScenes = 10'000'000;
  if (num_train < 0 || num_val < 0 || num_train + num_val > kMaxScenes) {
    fail_usage("--train {} --val {}: each must be 0 or more, and both together at most {}", num_train, num_val,
               kMaxScenes);
  }
  schema_.dataset = "scenes";
  schema_.height = size.height;
  schema_.width = size.width;
  schema_.label_sets = {{"label", scene_class_names(), scene_class_colors()}};
  schema_.depth_kind = pack::DepthKind::metres;
  schema_.depth_type = pack::DepthType::float32;
  schema_.normals = with_normals ? "exact" : "";
  schema_.resize = "none";
  schema_.source = fmt::format("generated scenes, seed {}", seed);
  for (std::int64_t i = 0; i < num_train + num_val; ++i) {
    names_[i < num_train ? 0 : 1].push_back(fmt::format("scene:{}:{}", seed, i));
  }
}

RawSample ScenesDataset::decode(pack::Split split, std::size_t index, const Resize& /*rendered at its size*/) const {
  const std::uint64_t first = split == pack::Split::train ? 0 : names_[0].size();
  Scene scene = render_scene(seed_, first + index, schema_.height, schema_.width, schema_.has_normals());
  RawSample sample;
  sample.height = schema_.height;
  sample.width = schema_.width;
  sample.image = std::move(scene.image);
  sample.labels.push_back(std::move(scene.label));
  sample.depth = std::move(scene.depth);
  sample.normals = std::move(scene.normals);
  return sample;
}

}  // namespace xtasc::preprocess
