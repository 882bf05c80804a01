#pragma once

#include <ATen/ATen.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "core/random.hpp"
#include "data/dataset.hpp"

namespace xtasc::test {

/// A config for tests of a training step: every part of the net, narrow, in fp64; the given assignments over it.
inline config::RunConfig step_config(std::vector<std::string> assignments) {
  assignments.insert(assignments.begin(),
                     {"model.encoder=resnet18", "run.precision=fp64", "run.device=cpu", "loss.lambda_1=0.1",
                      "loss.lambda_2=0.2", "model.decoder_width=16", "model.ttnet_widths=[8, 16, 16]"});
  return config::run_config_of(assignments);
}

/// A batch of random numbers with ignored labels, invalid depth and normals, and, when large enough, one image without
/// any label, one without any depth and one without any normal. A function of (seed, index of the sample) alone.
inline data::Batch random_batch(std::uint64_t seed, std::int64_t num_samples, std::int64_t num_classes,
                                std::int64_t height, std::int64_t width) {
  const at::Tensor images = at::empty({num_samples, 3, height, width}, at::kFloat);
  const at::Tensor labels = at::empty({num_samples, height, width}, at::kLong);
  const at::Tensor depths = at::empty({num_samples, 1, height, width}, at::kFloat);
  const at::Tensor normals = at::zeros({num_samples, 3, height, width}, at::kFloat);
  for (std::int64_t n = 0; n < num_samples; ++n) {
    RandomStream stream(seed, Purpose::synthetic_input, 0, static_cast<std::uint64_t>(n));
    auto* image = images[n].mutable_data_ptr<float>();
    auto* label = labels[n].mutable_data_ptr<std::int64_t>();
    auto* depth = depths[n].mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < 3 * height * width; ++i) {
      image[i] = static_cast<float>(stream.normal());
    }
    for (std::int64_t i = 0; i < height * width; ++i) {
      const bool ignored = n == 1 || stream.uniform() < 0.1;
      label[i] = ignored ? 255 : static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(num_classes)));
      depth[i] = n == 2 || stream.uniform() < 0.1 ? 0.0F : static_cast<float>(stream.uniform(0.5, 8.0));
    }
    auto* normal = normals[n].mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < height * width && n != 3; ++i) {
      const double x = stream.uniform(-1.0, 1.0);
      const double y = stream.uniform(-1.0, 1.0);
      const double length = std::sqrt(x * x + y * y + 1.0);
      const bool is_known = stream.uniform() >= 0.1;
      const std::array<double, 3> vector = {x / length, y / length, -1.0 / length};
      for (std::int64_t c = 0; c < 3; ++c) {
        normal[c * height * width + i] = is_known ? static_cast<float>(vector[static_cast<std::size_t>(c)]) : 0.0F;
      }
    }
  }
  return {.image_n3hw = images, .targets = {{"seg", labels}, {"depth", depths}, {"normals", normals}}};
}

/// Rows [begin, end) of a batch, in the step's type.
inline data::Batch rows(const data::Batch& batch, const data::Range& range, at::ScalarType type) {
  return batch.changed([&](const at::Tensor& tensor) {
    const at::Tensor part = tensor.narrow(0, range.begin, range.size());
    return part.is_floating_point() ? part.to(type) : part;
  });
}

/// A batch without memory.
inline data::Batch on_meta(const data::Batch& batch) {
  return batch.changed([](const at::Tensor& tensor) { return tensor.to(at::kMeta); });
}

}  // namespace xtasc::test
