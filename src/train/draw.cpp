#include "train/draw.hpp"

#include "train/step.hpp"

namespace xtasc::train {

std::vector<data::Batch> draw_pieces(const config::RunConfig& config, const model::Network& net,
                                     const data::Dataset& train, const GlobalBatch& batch) {
  std::vector<data::Batch> pieces;
  for (const data::Range& whole : data::pieces_of(batch.places, config.train.accumulate)) {
    const data::Range mine = data::share_of(whole, batch.rank, batch.num_ranks);
    const auto samples =
        batch.order.subspan(static_cast<std::size_t>(mine.begin), static_cast<std::size_t>(mine.size()));
    pieces.push_back(data::draw_batch(train, samples, {.flip = config.data.flip, .scale_crop = config.data.scale_crop},
                                      static_cast<std::uint64_t>(config.run.seed), batch.epoch));
    give_place(pieces.back(), config, net,
               {.first = mine.begin - batch.places.begin, .samples = samples, .step = batch.step});
  }
  return pieces;
}

}  // namespace xtasc::train
