#include "net/mtan.hpp"

#include "core/error.hpp"

namespace xtasc::net {

namespace {

Mtan::Attention attention(const std::string& prefix, Part part, std::int64_t shrunk, std::int64_t in,
                          std::int64_t out) {
  InSequence place{.prefix = prefix, .index = 0, .kernel = 1, .shrunk = shrunk, .part = part};
  const Convolution first = convolution_and_norm(place, in, out);
  place.index = 3;
  return {first, convolution_and_norm(place, out, out)};
}

}  // namespace

Mtan mtan(const Choice& choice) {
  constexpr auto kChannels = kSegNetChannels;
  const auto num_tasks = static_cast<std::int64_t>(choice.tasks.size());
  Mtan net = {
      .trunk = segnet(num_tasks), .attention = {}, .encoder_block_att = {}, .decoder_block_att = {}, .heads = {}};
  for (std::int64_t t = 0; t < num_tasks; ++t) {
    Mtan::OfTask& of_task = net.attention.emplace_back();
    for (std::size_t i = 0; i < 5; ++i) {
      const std::int64_t shrunk = std::int64_t{1} << i;
      const std::int64_t wide = kChannels[i];
      const std::int64_t narrow = i == 0 ? wide : kChannels[i - 1];
      of_task.encoder[i] =
          attention(fmt::format("encoder_att.{}.{}", t, i), Part::encoder, shrunk, i == 0 ? wide : 2 * wide, wide);
      // Reads the unpooled stage and what came up from below.
      of_task.decoder[i] =
          attention(fmt::format("decoder_att.{}.{}", t, i), Part::decoders, shrunk, wide + narrow, narrow);
    }
  }
  for (std::size_t i = 0; i < 5; ++i) {
    const std::int64_t wide = kChannels[i];
    const std::int64_t below = kChannels[i == 4 ? 4 : i + 1];
    const std::int64_t narrow = i == 0 ? wide : kChannels[i - 1];
    InSequence place{
        .prefix = fmt::format("encoder_block_att.{}", i), .shrunk = std::int64_t{1} << i, .uses = num_tasks};
    net.encoder_block_att[i] = {convolution_and_norm(place, wide, below)};
    place.prefix = fmt::format("decoder_block_att.{}", i);
    place.part = Part::decoders;
    net.decoder_block_att[i] = {convolution_and_norm(place, wide, narrow)};
    net.decoder_block_att[i][0].upsampled = {wide, 0};
  }
  net.heads = segnet_heads(choice, Init::xavier_normal);
  return net;
}

Chain convolutions_of(const Mtan& net) {
  Chain all;
  const SegNet& trunk = net.trunk;
  for (const auto* chains :
       {&trunk.encoder_block, &trunk.decoder_block, &trunk.conv_block_enc, &trunk.conv_block_dec}) {
    append(all, *chains);
  }
  for (const auto place : {&Mtan::OfTask::encoder, &Mtan::OfTask::decoder}) {
    for (const Mtan::OfTask& of_task : net.attention) {
      for (const Mtan::Attention& layers : of_task.*place) {
        all.insert(all.end(), layers.begin(), layers.end());
      }
    }
  }
  append(all, net.encoder_block_att);
  append(all, net.decoder_block_att);
  append(all, net.heads);
  append(all, net.adaptors);
  return all;
}

Chain mtan_convolutions(const Choice& choice) {
  return convolutions_of(mtan(choice));
}

std::vector<std::string> mtan_unread(const Choice& choice) {
  return {"logsigma", fmt::format("encoder_att.{}.0.", choice.tasks.size()),
          fmt::format("decoder_att.{}.0.", choice.tasks.size())};
}

}  // namespace xtasc::net
