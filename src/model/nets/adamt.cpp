#include "model/nets/adamt.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "core/error.hpp"
#include "kernels/gate/gate.hpp"
#include "kernels/pool/pool.hpp"
#include "model/chain.hpp"
#include "net/adamt.hpp"

namespace xtasc::model {

namespace {

constexpr std::size_t kNumBlocks = net::Adamt::kNumBlocks;

/// Draws for the dropout layers of one pass, which take them one layer after the other.
class Dropout {
 public:
  Dropout(double share, const Mode& mode) : share_(share), mode_(mode) {}

  /// The factors of a layer's channels: 0 with probability `share`, else 1 / (1 - share). \returns  (N, channels),
  /// undefined where nothing is dropped
  [[nodiscard]] at::Tensor kept(std::int64_t num_images, std::int64_t channels, at::ScalarType type) {
    if (!mode_.training || share_ == 0.0) {
      return {};
    }
    at::Tensor factors = (draws_of(mode_, num_images, next_, channels) >= share_).to(type) / (1.0 - share_);
    next_ += channels;
    return factors;
  }

  [[nodiscard]] at::Tensor operator()(const at::Tensor& x_nchw) {
    const at::Tensor factors = kept(x_nchw.size(0), x_nchw.size(1), x_nchw.scalar_type());
    return factors.defined() ? x_nchw * factors.unsqueeze(2).unsqueeze(3) : x_nchw;
  }

 private:
  double share_;
  const Mode& mode_;
  std::int64_t next_ = 0;
};

/// A 3x3 convolution and its norm, in front of a sigmoid.
class NormedLayer {
 public:
  NormedLayer(ParameterSet& set, const net::Convolution& layer)
      : convolution_(make_convolution(set, layer)), norm_(make_batch_norm(set, layer.norm, layer.out)) {}

  [[nodiscard]] at::Tensor forward(const at::Tensor& x, const Mode& mode) const {
    const auto [convolution, left_out] = unbiased(convolution_, norm_, mode);
    const at::Tensor y = convolve({x, {}}, convolution, mode, before_norm(norm_, Activation::none));
    return batch_norm(y, norm_, mode, Activation::none, left_out);
  }

  /// Of `low` made twice as large, and a skip behind it.
  [[nodiscard]] at::Tensor forward(const at::Tensor& low, const at::Tensor& skip, const Mode& mode) const {
    const auto [convolution, left_out] = unbiased(convolution_, norm_, mode);
    const at::Tensor y = convolve_upsampled({low, {}}, skip, convolution, mode, before_norm(norm_, Activation::none));
    return batch_norm(y, norm_, mode, Activation::none, left_out);
  }

  void fold_norm() { fold(convolution_, norm_); }
  [[nodiscard]] const at::Tensor& weight() const { return convolution_.weight; }

 private:
  Convolution convolution_;
  BatchNorm norm_;
};

class AdamtNet final : public Network {
 public:
  AdamtNet(const NetworkOptions& options, const net::Adamt& layers)
      : Network(options.choice, {options.seed, options.device, options.dtype}),
        share_(options.choice.section.dropout),
        height_(options.choice.sizes.height),
        width_(options.choice.sizes.width) {
    check(height_ > 0 && width_ > 0, "the network of {} is made for images of one size, which is not known here",
          options.choice.section.system);
    const bool is_shared = options.choice.section.adamt_attention == config::AdamtAttention::shared;
    const std::int64_t slots = is_shared ? 1 : options.choice.sizes.slots;
    blocks_ = make_chains(parameters_, {layers.blocks.begin(), layers.blocks.end()});
    bottleneck_ = make_convolution(parameters_, layers.bottleneck);
    for (const net::Adamt::Decoder& description : layers.decoders) {
      Decoder& decoder = decoders_.emplace_back();
      for (const net::Adamt::Decoder::Block& block : description.blocks) {
        const at::Tensor factors = parameters_.parameter(
            block.factors, {slots, block.layers[1].out, height_ / block.shrunk, width_ / block.shrunk},
            Init::unit_uniform);
        decoder.blocks.push_back(
            {factors, NormedLayer(parameters_, block.layers[0]), NormedLayer(parameters_, block.layers[1])});
      }
      decoder.last = make_convolution(parameters_, description.last);
    }
    parameters_.flatten();
  }

  [[nodiscard]] Predictions forward(const at::Tensor& image_n3hw, const Mode& mode) const override {
    check_image(image_n3hw);
    check(image_n3hw.size(2) == height_ && image_n3hw.size(3) == width_,
          "these weights have factors for images of {} x {}, found {} x {}", height_, width_, image_n3hw.size(2),
          image_n3hw.size(3));
    Dropout dropout(share_, mode);
    mode.enter(Part::encoder);
    std::array<at::Tensor, kNumBlocks + 1> shared = encode(image_n3hw, dropout, mode);
    mode.enter(Part::decoders);
    if (mode.at_cut) {
      mode.at_cut(shared);
    }
    Predictions predictions;
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      predictions.direct.emplace(tasks_[t].key, decode(decoders_[t], shared, dropout, mode));
    }
    return predictions;
  }

  [[nodiscard]] std::unique_ptr<Network> folded() const override {
    auto net = std::make_unique<AdamtNet>(*this);
    std::ranges::for_each(net->blocks_, &Chain::fold_norms);
    for (Decoder& decoder : net->decoders_) {
      for (Block& block : decoder.blocks) {
        block.first.fold_norm();
        block.second.fold_norm();
      }
    }
    return net;
  }

  [[nodiscard]] bool has_cut() const override { return true; }
  [[nodiscard]] at::Tensor last_shared_layer() const override { return bottleneck_.weight; }
  [[nodiscard]] at::Tensor first_own_layer(std::size_t task) const override {
    return decoders_[task].blocks.front().first.weight();
  }
  [[nodiscard]] std::int64_t num_draws() const override {
    const auto sum = [](const auto& channels) { return std::accumulate(channels.begin(), channels.end(), 0L); };
    const std::int64_t of_decoder = 2 * sum(net::kAdamtDecoder);
    return share_ == 0.0 ? 0 : sum(net::kAdamtEncoder) + static_cast<std::int64_t>(decoders_.size()) * of_decoder;
  }

 private:
  struct Block {
    at::Tensor factors;  ///< (slots, C, h, w)
    NormedLayer first, second;
  };
  struct Decoder {
    std::vector<Block> blocks;
    Convolution last;
  };

  /// \returns the four blocks' maps at 1/2^i, then the bottleneck's at 1/16
  [[nodiscard]] std::array<at::Tensor, kNumBlocks + 1> encode(const at::Tensor& image, Dropout& dropout,
                                                              const Mode& mode) const {
    std::array<at::Tensor, kNumBlocks + 1> maps;
    std::vector<at::Tensor> above;  // of the blocks so far, the last one's first, pooled to the next one's size
    at::Tensor x = image.contiguous(at::MemoryFormat::ChannelsLast);
    for (std::size_t i = 0; i < kNumBlocks; ++i) {
      maps[i] = blocks_[i].forward({x, {}}, mode);
      above.insert(above.begin(), maps[i]);
      for (at::Tensor& map : above) {
        map = kernels::max_pool_2x2(map).values;
      }
      std::vector<at::Tensor> joined = above;
      joined.front() = dropout(above.front());  // whole channels: as good behind the pool, of a quarter of the pixels
      x = joined.size() == 1 ? joined.front() : at::cat(joined, 1);
    }
    maps[kNumBlocks] = convolve({x, {}}, bottleneck_, mode);
    return maps;
  }

  [[nodiscard]] at::Tensor decode(const Decoder& decoder, const std::array<at::Tensor, kNumBlocks + 1>& maps,
                                  Dropout& dropout, const Mode& mode) const {
    at::Tensor x = maps[kNumBlocks];
    for (std::size_t k = 0; k < kNumBlocks; ++k) {
      const Block& block = decoder.blocks[k];
      const at::Tensor first = block.first.forward(x, maps[kNumBlocks - 1 - k], mode).sigmoid_();
      const at::Tensor second = block.second.forward(first, mode);
      const at::Tensor kept = dropout.kept(x.size(0), 2 * first.size(1), parameters_.dtype());
      x = kernels::join_with_factors(second, first, of_slots(block.factors, x.size(0), mode), kept);
    }
    return convolve({x, {}}, decoder.last, mode).to(parameters_.dtype());
  }

  /// (1, C, h, w), or (N, C, h, w): those of the images' places in the global batch.
  [[nodiscard]] static at::Tensor of_slots(const at::Tensor& factors, std::int64_t num_images, const Mode& mode) {
    const std::int64_t slots = factors.size(0);
    if (slots == 1) {
      return factors;
    }
    const std::int64_t first = mode.first_in_batch % slots;
    if (first + num_images <= slots) {
      return factors.narrow(0, first, num_images);
    }
    const at::Tensor places =
        at::arange(first, first + num_images, at::TensorOptions().dtype(at::kLong).device(factors.device()));
    return factors.index_select(0, places.remainder(slots));
  }

  double share_;
  std::int64_t height_, width_;
  std::vector<Chain> blocks_;
  Convolution bottleneck_;
  std::vector<Decoder> decoders_;  ///< one a task
};

}  // namespace

std::unique_ptr<Network> make_adamt(const NetworkOptions& options) {
  return std::make_unique<AdamtNet>(options, net::adamt(options.choice));
}

}  // namespace xtasc::model
