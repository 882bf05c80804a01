#include "net/segnet.hpp"

#include "core/error.hpp"

namespace xtasc::net {

Convolution convolution_and_norm(const InSequence& place, std::int64_t in, std::int64_t out) {
  return {.name = fmt::format("{}.{}", place.prefix, place.index),
          .in = in,
          .out = out,
          .kernel = place.kernel,
          .init = place.init,
          .norm = fmt::format("{}.{}", place.prefix, place.index + 1),
          .part = place.part,
          .shrunk = place.shrunk,
          .uses = place.uses,
          .reached_by = place.reached_by};
}

SegNet segnet(std::int64_t num_tasks) {
  constexpr auto kChannels = kSegNetChannels;
  SegNet net;
  for (std::size_t i = 0; i < 5; ++i) {
    const std::int64_t wide = kChannels[i];
    const std::int64_t above = i == 0 ? 3 : kChannels[i - 1];
    const std::int64_t narrow = i == 0 ? wide : kChannels[i - 1];  // what the decoder's stage gives
    InSequence place{.prefix = {}, .shrunk = std::int64_t{1} << i, .reached_by = num_tasks};
    const auto block = [&](const std::string& name, Part part, std::int64_t in, std::int64_t out) {
      place.prefix = fmt::format("{}.{}", name, i);
      place.part = part;
      return Chain{convolution_and_norm(place, in, out)};
    };
    // One convolution in the first two stages, two of them in the others.
    const auto keeping = [&](const std::string& name, Part part, std::int64_t channels) {
      place.part = part;
      if (i < 2) {
        return block(name, part, channels, channels);
      }
      Chain chain;
      for (int k = 0; k < 2; ++k) {
        place.prefix = fmt::format("{}.{}.{}", name, i, k);
        chain.push_back(convolution_and_norm(place, channels, channels));
      }
      return chain;
    };
    net.encoder_block[i] = block("encoder_block", Part::encoder, above, wide);
    net.conv_block_enc[i] = keeping("conv_block_enc", Part::encoder, wide);
    net.decoder_block[i] = block("decoder_block", Part::decoders, wide, narrow);
    net.conv_block_dec[i] = keeping("conv_block_dec", Part::decoders, narrow);
  }
  net.encoder_block[0][0].sees_image = true;
  return net;
}

std::vector<Chain> segnet_heads(const Choice& choice, Init init) {
  constexpr std::int64_t kWidth = kSegNetChannels[0];
  std::vector<Chain> heads;
  for (const task::Task& task : choice.tasks) {
    const std::string prefix = choice.tasks.size() == 1 ? "pred_task" : fmt::format("pred_task{}", heads.size() + 1);
    const auto layer = [&](int index, std::int64_t kernel, std::int64_t out) {
      return Convolution{.name = fmt::format("{}.{}", prefix, index),
                         .in = kWidth,
                         .out = out,
                         .kernel = kernel,
                         .init = init,
                         .part = Part::decoders};
    };
    heads.push_back({layer(0, 3, kWidth), layer(1, 1, choice.channels(task))});
  }
  return heads;
}

void append(Chain& all, const Chain& chain) {
  all.insert(all.end(), chain.begin(), chain.end());
}

void append(Chain& all, const std::array<Chain, 5>& chains) {
  for (const Chain& chain : chains) {
    append(all, chain);
  }
}

void append(Chain& all, const std::vector<Chain>& chains) {
  for (const Chain& chain : chains) {
    append(all, chain);
  }
}

Chain segnet_convolutions(const Choice& choice) {
  const SegNet net = segnet(static_cast<std::int64_t>(choice.tasks.size()));
  Chain all;
  for (const auto* chains : {&net.encoder_block, &net.decoder_block, &net.conv_block_enc, &net.conv_block_dec}) {
    append(all, *chains);
  }
  append(all, segnet_heads(choice, Init::xavier_normal));
  return all;
}

std::vector<std::string> segnet_unread(const Choice& choice) {
  return {"logsigma", fmt::format("pred_task{}.", choice.tasks.size() + 1)};
}

}  // namespace xtasc::net
