#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "model/network.hpp"

namespace xtasc::train {

/// A global batch, and who draws a part of it.
struct GlobalBatch {
  std::span<const std::int64_t> order;  ///< the epoch's samples
  data::Range places;                   ///< the batch's, in that order
  int rank = 0;
  int num_ranks = 1;
  std::int64_t epoch = 0;  ///< epochs completed
  std::int64_t step = 0;   ///< optimizer steps completed
};

/// A rank's part of a global batch, augmented, in its place: cut into train.accumulate pieces, or fewer where it has
/// fewer images, of each of which every rank has a part. So the pieces are the same whatever the number of ranks.
[[nodiscard]] std::vector<data::Batch> draw_pieces(const config::RunConfig& config, const model::Network& net,
                                                   const data::Dataset& train, const GlobalBatch& batch);

}  // namespace xtasc::train
