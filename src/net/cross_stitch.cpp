#include "net/cross_stitch.hpp"

#include "core/error.hpp"

namespace xtasc::net {

Blocks blocks(const std::string& suffix, std::int64_t reached_by, bool joins) {
  Blocks all;
  const std::int64_t joined = joins ? 2 : 1;
  for (std::size_t i = 0; i < 5; ++i) {
    const std::int64_t wide = kSegNetChannels[i];
    const std::int64_t narrow = i == 0 ? wide : kSegNetChannels[i - 1];
    InSequence place{
        .prefix = {}, .shrunk = std::int64_t{1} << i, .reached_by = reached_by, .init = Init::xavier_uniform};
    const auto block = [&](std::string_view name, Part part, std::int64_t in, std::int64_t inside, std::int64_t out) {
      const int num_layers = i < 2 ? 2 : 3;
      place.prefix = fmt::format("{}{}.{}", name, suffix, i);
      place.part = part;
      Chain chain;
      for (int k = 0; k < num_layers; ++k) {
        place.index = 3 * k;
        chain.push_back(convolution_and_norm(place, k == 0 ? in : inside, k + 1 == num_layers ? out : inside));
      }
      return chain;
    };
    all.encoder[i] = block("encoder_block", Part::encoder, i == 0 ? 3 : joined * kSegNetChannels[i - 1], wide, wide);
    // The joined decoder narrows behind its last convolution only.
    all.decoder[i] = block("decoder_block", Part::decoders, joined * wide, i == 0 ? joined * wide : narrow, narrow);
  }
  all.encoder[0][0].sees_image = true;
  return all;
}

CrossStitch cross_stitch(const Choice& choice) {
  const auto num_tasks = static_cast<std::int64_t>(choice.tasks.size());
  CrossStitch net;
  for (std::int64_t t = 0; t < num_tasks; ++t) {
    Blocks& own = net.of_tasks.emplace_back(blocks(fmt::format("_t.{}", t), num_tasks, /*joins=*/false));
    for (Convolution& layer : own.decoder[0]) {
      layer.reached_by = 1;  // nothing is mixed behind it
    }
  }
  net.heads = segnet_heads(choice, Init::xavier_uniform);
  return net;
}

Chain cross_stitch_convolutions(const Choice& choice) {
  const CrossStitch net = cross_stitch(choice);
  Chain all;
  for (const auto place : {&Blocks::encoder, &Blocks::decoder}) {
    for (const Blocks& own : net.of_tasks) {
      append(all, own.*place);
    }
  }
  append(all, net.heads);
  return all;
}

std::vector<std::string> cross_stitch_unread(const Choice& /*choice*/) {
  return {"logsigma"};
}

}  // namespace xtasc::net
