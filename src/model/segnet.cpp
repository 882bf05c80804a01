#include "model/segnet.hpp"

#include <ATen/ATen.h>

#include <algorithm>

namespace xtasc::model {

SegNet::SegNet(ParameterSet& set, const net::SegNet& layers) {
  const auto make = [&set](std::array<Chain, 5>& chains, const std::array<net::Chain, 5>& of) {
    for (std::size_t i = 0; i < 5; ++i) {
      chains[i] = Chain(set, of[i]);
    }
  };
  make(encoder_block_, layers.encoder_block);
  make(decoder_block_, layers.decoder_block);
  make(conv_block_enc_, layers.conv_block_enc);
  make(conv_block_dec_, layers.conv_block_dec);
}

SegNet::Down SegNet::down(const at::Tensor& image_n3hw, const Mode& mode) const {
  Down down;
  at::Tensor x = image_n3hw.contiguous(at::MemoryFormat::ChannelsLast);
  for (std::size_t i = 0; i < 5; ++i) {
    down.first[i] = encoder_block_[i].forward({x, {}}, mode);
    down.second[i] = conv_block_enc_[i].forward({down.first[i], {}}, mode);
    kernels::MaxPooled pooled = kernels::max_pool_2x2(down.second[i]);
    x = pooled.values;
    down.which[i] = pooled.which;
  }
  down.bottom = x;
  return down;
}

SegNet::Up SegNet::up(const Down& down, const Mode& mode) const {
  Up up;
  at::Tensor x = down.bottom;
  for (std::size_t i = 5; i-- > 0;) {
    up.unpooled[i] = kernels::unpool_2x2(x, down.which[i]);
    x = conv_block_dec_[i].forward({decoder_block_[i].forward({up.unpooled[i], {}}, mode), {}}, mode);
    up.second[i] = x;
  }
  return up;
}

void SegNet::fold_norms() {
  for (auto* chains : {&encoder_block_, &conv_block_enc_, &decoder_block_, &conv_block_dec_}) {
    std::ranges::for_each(*chains, &Chain::fold_norms);
  }
}

BlocksOfNet::BlocksOfNet(ParameterSet& set, const net::Blocks& layers) {
  for (std::size_t i = 0; i < 5; ++i) {
    encoder[i] = Chain(set, layers.encoder[i]);
  }
  for (std::size_t i = 0; i < 5; ++i) {
    decoder[i] = Chain(set, layers.decoder[i]);
  }
}

void BlocksOfNet::fold_norms() {
  for (auto* chains : {&encoder, &decoder}) {
    std::ranges::for_each(*chains, &Chain::fold_norms);
  }
}

}  // namespace xtasc::model
