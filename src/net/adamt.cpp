#include "net/adamt.hpp"

#include "core/error.hpp"

namespace xtasc::net {

namespace {

constexpr std::size_t kNumBlocks = Adamt::kNumBlocks;

/// The public code's own word for it.
std::string prefix_of(const task::Task& task) {
  return task.key == "seg" ? "decoder_segmt" : fmt::format("decoder_{}", task.key);
}

Convolution plain(const std::string& name, std::int64_t in, std::int64_t out, bool has_bias, Part part) {
  return {.name = name,
          .in = in,
          .out = out,
          .kernel = 1,
          .has_bias = has_bias,
          .init = Init::fan_in_uniform,
          .part = part};
}

Adamt::Decoder decoder(const std::string& prefix, std::int64_t in, std::int64_t out) {
  Adamt::Decoder decoder;
  std::int64_t below = in;
  for (std::size_t k = 0; k < kNumBlocks; ++k) {
    Adamt::Decoder::Block& block = decoder.blocks[k];
    const std::string name = fmt::format("{}.dec_block{}", prefix, k + 1);
    const std::int64_t width = kAdamtDecoder[k];
    block.factors = name + ".W";
    block.shrunk = std::int64_t{1} << (kNumBlocks - 1 - k);
    InSequence place{
        .prefix = name + ".conv1", .shrunk = block.shrunk, .part = Part::decoders, .init = Init::fan_in_uniform};
    block.layers[0] = convolution_and_norm(place, below + kAdamtEncoder[kNumBlocks - 1 - k], width);
    block.layers[0].upsampled = {below, 0};
    place.prefix = name + ".conv2";
    block.layers[1] = convolution_and_norm(place, width, width);
    below = 2 * width;
  }
  decoder.last = plain(prefix + ".final_conv", below, out, /*has_bias=*/false, Part::decoders);
  return decoder;
}

}  // namespace

Adamt adamt(const Choice& choice) {
  constexpr std::int64_t kBottleneck = 1024;
  const auto num_tasks = static_cast<std::int64_t>(choice.tasks.size());
  Adamt net;
  std::int64_t in = 3;
  for (std::size_t i = 0; i < kNumBlocks; ++i) {
    InSequence place{
        .prefix = {}, .shrunk = std::int64_t{1} << i, .reached_by = num_tasks, .init = Init::fan_in_uniform};
    const std::int64_t width = kAdamtEncoder[i];
    for (const auto& [number, from] : {std::pair{1, in}, {2, width}}) {
      place.prefix = fmt::format("encoder.enc_block{}.conv{}", i + 1, number);
      net.blocks[i].push_back(convolution_and_norm(place, from, width));
    }
    in = i == 0 ? width : in + width;  // the image goes no further
  }
  net.blocks[0][0].sees_image = true;
  net.bottleneck = plain("encoder.bottleneck", in, kBottleneck, /*has_bias=*/true, Part::encoder);
  net.bottleneck.shrunk = std::int64_t{1} << kNumBlocks;
  net.bottleneck.reached_by = num_tasks;
  for (const task::Task& task : choice.tasks) {
    net.decoders.push_back(decoder(prefix_of(task), kBottleneck, choice.channels(task)));
  }
  return net;
}

Chain adamt_convolutions(const Choice& choice) {
  const Adamt net = adamt(choice);
  Chain all;
  for (const Chain& block : net.blocks) {
    append(all, block);
  }
  all.push_back(net.bottleneck);
  for (const Adamt::Decoder& decoder : net.decoders) {
    for (const Adamt::Decoder::Block& block : decoder.blocks) {
      all.insert(all.end(), block.layers.begin(), block.layers.end());
    }
    all.push_back(decoder.last);
  }
  return all;
}

std::string adamt_sized_by(const Choice& choice) {
  return adamt(choice).decoders.front().blocks.back().factors;
}

}  // namespace xtasc::net
