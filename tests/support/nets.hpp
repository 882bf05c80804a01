#pragma once

#include <ATen/ATen.h>

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

/// A batch of random numbers with ignored labels, invalid depth, and, when large enough, one image without any label
/// and one without any depth. A function of (seed, index of the sample) alone.
inline data::Batch random_batch(std::uint64_t seed, std::int64_t num_samples, std::int64_t num_classes,
                                std::int64_t height, std::int64_t width) {
  data::Batch batch{at::empty({num_samples, 3, height, width}, at::kFloat),
                    at::empty({num_samples, height, width}, at::kLong),
                    at::empty({num_samples, 1, height, width}, at::kFloat)};
  for (std::int64_t n = 0; n < num_samples; ++n) {
    RandomStream stream(seed, Purpose::synthetic_input, 0, static_cast<std::uint64_t>(n));
    auto* image = batch.image_n3hw[n].mutable_data_ptr<float>();
    auto* label = batch.label_nhw[n].mutable_data_ptr<std::int64_t>();
    auto* depth = batch.depth_n1hw[n].mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < 3 * height * width; ++i) {
      image[i] = static_cast<float>(stream.normal());
    }
    for (std::int64_t i = 0; i < height * width; ++i) {
      const bool ignored = n == 1 || stream.uniform() < 0.1;
      label[i] = ignored ? 255 : static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(num_classes)));
      depth[i] = n == 2 || stream.uniform() < 0.1 ? 0.0F : static_cast<float>(stream.uniform(0.5, 8.0));
    }
  }
  return batch;
}

/// Rows [begin, end) of a batch, in the step's type.
inline data::Batch rows(const data::Batch& batch, const data::Range& range, at::ScalarType type) {
  return {batch.image_n3hw.narrow(0, range.begin, range.size()).to(type),
          batch.label_nhw.narrow(0, range.begin, range.size()),
          batch.depth_n1hw.narrow(0, range.begin, range.size()).to(type)};
}

}  // namespace xtasc::test
