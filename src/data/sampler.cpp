#include "data/sampler.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <span>
#include <utility>

#include "core/random.hpp"

namespace xtasc::data {

std::vector<std::int64_t> epoch_order(std::uint64_t seed, std::int64_t epoch, std::int64_t num_samples) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(num_samples));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  RandomStream stream(seed, Purpose::sample_order, static_cast<std::uint64_t>(epoch), 0);
  for (std::size_t i = order.size(); i > 1; --i) {  // Fisher and Yates
    std::swap(order[i - 1], order[stream.below(i)]);
  }
  return order;
}

std::vector<std::int64_t> held_out(std::int64_t num_samples, std::int64_t count, std::uint64_t seed) {
  std::vector<std::pair<std::uint64_t, std::int64_t>> draws;
  for (std::int64_t sample = 0; sample < num_samples; ++sample) {
    draws.emplace_back(RandomStream(seed, Purpose::holdout, 0, static_cast<std::uint64_t>(sample)).next(), sample);
  }
  std::ranges::sort(draws);
  std::vector<std::int64_t> samples;
  for (const auto& [draw, sample] : std::span(draws).first(static_cast<std::size_t>(count))) {
    samples.push_back(sample);
  }
  std::ranges::sort(samples);
  return samples;
}

std::int64_t steps_per_epoch(std::int64_t num_samples, std::int64_t batch_size) {
  return (num_samples + batch_size - 1) / batch_size;
}

Range global_batch(std::int64_t step, std::int64_t batch_size, std::int64_t num_samples) {
  return {step * batch_size, std::min((step + 1) * batch_size, num_samples)};
}

std::vector<Range> pieces_of(const Range& whole, std::int64_t count) {
  std::vector<Range> pieces;
  for (std::int64_t k = 0; k < count; ++k) {
    const Range piece = {whole.begin + whole.size() * k / count, whole.begin + whole.size() * (k + 1) / count};
    if (piece.size() > 0) {
      pieces.push_back(piece);
    }
  }
  return pieces;
}

Range share_of(const Range& whole, int rank, int num_ranks) {
  return {whole.begin + whole.size() * rank / num_ranks, whole.begin + whole.size() * (rank + 1) / num_ranks};
}

Augmentation draw_augmentation(const AugmentationOptions& options, std::uint64_t seed, std::int64_t epoch,
                               std::int64_t sample, std::int64_t height, std::int64_t width) {
  constexpr std::array<double, 3> kScales = {1.0, 1.2, 1.5};
  const auto e = static_cast<std::uint64_t>(epoch);
  const auto s = static_cast<std::uint64_t>(sample);
  Augmentation drawn{.window_height = height, .window_width = width};
  if (options.flip) {
    drawn.flip = RandomStream(seed, Purpose::flip, e, s).uniform() < 0.5;
  }
  if (options.scale_crop) {
    RandomStream stream(seed, Purpose::scale_crop, e, s);
    drawn.scale = kScales[stream.below(kScales.size())];
    drawn.window_height = static_cast<std::int64_t>(static_cast<double>(height) / drawn.scale);
    drawn.window_width = static_cast<std::int64_t>(static_cast<double>(width) / drawn.scale);
    drawn.window_y =
        static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(height - drawn.window_height + 1)));
    drawn.window_x =
        static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(width - drawn.window_width + 1)));
  }
  return drawn;
}

}  // namespace xtasc::data
