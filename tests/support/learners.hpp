#pragma once

#include <memory>
#include <numeric>
#include <vector>

#include "train/setup.hpp"
#include "train/step.hpp"

namespace xtasc::test {

/// A learner that can be trained on batches like this one, whatever its system: a student has teachers of random
/// weights.
inline std::unique_ptr<train::Learner> learner_for(const config::RunConfig& config, std::int64_t num_classes,
                                                   const data::Batch& batch, at::Device device) {
  const at::Tensor& image = batch.image_n3hw;
  const net::Sizes sizes(num_classes, image.size(2), image.size(3), image.size(0));
  auto learner = std::make_unique<train::Learner>(config, sizes, device);
  train::with_random_teachers(*learner, config, sizes);
  return learner;
}

/// The batch, or a rank's part of it, where the epoch's first batch is samples 0, 1, ... \param first  of the images
inline data::Batch in_place(data::Batch batch, const config::RunConfig& config, const train::Learner& learner,
                            std::int64_t first = 0, std::int64_t step = 0) {
  std::vector<std::int64_t> samples(static_cast<std::size_t>(batch.image_n3hw.size(0)));
  std::iota(samples.begin(), samples.end(), first);
  train::give_place(batch, config, learner.net, {.first = first, .samples = samples, .step = step});
  return batch;
}

}  // namespace xtasc::test
