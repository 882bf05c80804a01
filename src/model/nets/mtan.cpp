#include "model/nets/mtan.hpp"

#include <ATen/ATen.h>

#include "kernels/pool/pool.hpp"
#include "model/segnet.hpp"
#include "net/mtan.hpp"

namespace xtasc::model {

namespace {

class MtanNet final : public Network {
 public:
  MtanNet(const NetworkOptions& options, const net::Mtan& layers)
      : Network(options.choice, {options.seed, options.device, options.dtype}), trunk_(parameters_, layers.trunk) {
    attention_.resize(layers.attention.size());
    for (std::size_t t = 0; t < attention_.size(); ++t) {
      for (const auto& of_stage : layers.attention[t].encoder) {
        attention_[t].encoder.emplace_back(parameters_, of_stage);
      }
    }
    for (std::size_t t = 0; t < attention_.size(); ++t) {
      for (const auto& of_stage : layers.attention[t].decoder) {
        attention_[t].decoder.emplace_back(parameters_, of_stage);
      }
    }
    for (std::size_t i = 0; i < 5; ++i) {
      encoder_block_att_[i] = Chain(parameters_, layers.encoder_block_att[i]);
    }
    for (std::size_t i = 0; i < 5; ++i) {
      decoder_block_att_[i] = Chain(parameters_, layers.decoder_block_att[i]);
    }
    heads_ = make_chains(parameters_, layers.heads);
    for (const net::Chain& of_task : layers.adaptors) {
      std::vector<Convolution>& adaptors = adaptors_.emplace_back();
      for (const net::Convolution& layer : of_task) {
        adaptors.push_back(make_convolution(parameters_, layer));
      }
    }
    parameters_.flatten();
  }

  [[nodiscard]] Predictions forward(const at::Tensor& image_n3hw, const Mode& mode) const override {
    check_image(image_n3hw);
    mode.enter(Part::encoder);
    const SegNet::Down down = trunk_.down(image_n3hw, mode);
    std::vector<at::Tensor> attended;
    for (const OfTask& of_task : attention_) {
      attended.push_back(attend_down(of_task, down, mode));
    }
    mode.enter(Part::decoders);
    const SegNet::Up up = trunk_.up(down, mode);
    Predictions predictions;
    std::vector<at::Tensor> last;
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      last.push_back(attend_up(attention_[t], attended[t], up, mode));
      predictions.direct.emplace(tasks_[t].key, heads_[t].forward({last[t], {}}, mode).to(parameters_.dtype()));
    }
    if (mode.wants_features) {
      mode.enter(Part::transfer_nets);
      for (std::size_t t = 0; t < tasks_.size(); ++t) {
        predictions.features.emplace(tasks_[t].key, features_of(t, {attended[t], last[t]}, mode));
      }
    }
    return predictions;
  }

  [[nodiscard]] std::unique_ptr<Network> folded() const override {
    auto net = std::make_unique<MtanNet>(*this);
    net->trunk_.fold_norms();
    for (OfTask& of_task : net->attention_) {
      for (auto* stages : {&of_task.encoder, &of_task.decoder}) {
        std::ranges::for_each(*stages, &Attention::fold_norms);
      }
    }
    std::ranges::for_each(net->encoder_block_att_, &Chain::fold_norms);
    std::ranges::for_each(net->decoder_block_att_, &Chain::fold_norms);
    return net;
  }

  [[nodiscard]] at::Tensor last_shared_layer() const override { return trunk_.last_weight(); }
  [[nodiscard]] at::Tensor first_own_layer(std::size_t task) const override {
    return attention_[task].encoder.front().first_weight();
  }
  [[nodiscard]] std::size_t num_adaptors() const override {
    return adaptors_.empty() ? 0 : adaptors_.size() * adaptors_.front().size();  // which have no bias
  }

 private:
  struct OfTask {
    std::vector<Attention> encoder, decoder;  ///< one a stage
  };

  [[nodiscard]] std::vector<at::Tensor> features_of(std::size_t task, const std::array<at::Tensor, 2>& maps,
                                                    const Mode& mode) const {
    std::vector<at::Tensor> features;
    for (std::size_t k = 0; k < maps.size(); ++k) {
      const at::Tensor feature = adaptors_.empty() ? maps[k] : convolve({maps[k], {}}, adaptors_[task][k], mode);
      features.push_back(feature.to(parameters_.dtype()));
    }
    return features;
  }

  /// \returns (N, 512, H / 32, W / 32)
  [[nodiscard]] at::Tensor attend_down(const OfTask& of_task, const SegNet::Down& down, const Mode& mode) const {
    at::Tensor x;
    for (std::size_t i = 0; i < 5; ++i) {
      const at::Tensor attended = of_task.encoder[i].forward({down.first[i], x}, down.second[i], mode);
      x = kernels::max_pool_2x2(encoder_block_att_[i].forward({attended, {}}, mode)).values;
    }
    return x;
  }

  /// \returns (N, 64, H, W)
  [[nodiscard]] at::Tensor attend_up(const OfTask& of_task, const at::Tensor& bottom, const SegNet::Up& up,
                                     const Mode& mode) const {
    at::Tensor x = bottom;
    for (std::size_t i = 5; i-- > 0;) {
      x = decoder_block_att_[i].forward_upsampled(x, mode);
      x = of_task.decoder[i].forward({up.unpooled[i], x}, up.second[i], mode);
    }
    return x;
  }

  SegNet trunk_;
  std::vector<OfTask> attention_;  ///< one a task
  std::array<Chain, 5> encoder_block_att_, decoder_block_att_;
  std::vector<Chain> heads_;                        ///< one a task
  std::vector<std::vector<Convolution>> adaptors_;  ///< one a task and map, or none
};

}  // namespace

std::unique_ptr<Network> make_mtan(const NetworkOptions& options) {
  return make_mtan(options, net::mtan(options.choice));
}

std::unique_ptr<Network> make_mtan(const NetworkOptions& options, const net::Mtan& layers) {
  return std::make_unique<MtanNet>(options, layers);
}

}  // namespace xtasc::model
