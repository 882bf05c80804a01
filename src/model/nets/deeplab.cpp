#include "model/nets/deeplab.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <vector>

#include "kernels/dropout/dropout.hpp"
#include "kernels/upsample/upsample.hpp"
#include "model/chain.hpp"
#include "model/resnet.hpp"
#include "net/deeplab.hpp"

namespace xtasc::model {

namespace {

constexpr std::int64_t kDrawsOfHead = 2;

/// What all heads read, as the cut has it.
struct Shared {
  at::Tensor mean;  ///< (N, C, 1, 1)
  at::Tensor maps;  ///< (N, C, H / 8, W / 8)
};

class DeeplabHead {
 public:
  DeeplabHead(ParameterSet& set, const net::Deeplab::Head& layers)
      : branches_(make_chains(set, layers.branches)), project_(set, layers.project), last_(set, layers.last) {}

  /// \param drop  the dropout \returns  at 1/8, in mode.compute
  template <typename Drop>
  [[nodiscard]] at::Tensor forward(const Shared& shared, const Mode& mode, const Drop& drop) const {
    std::vector<at::Tensor> joined;
    for (std::size_t i = 0; i + 1 < branches_.size(); ++i) {
      joined.push_back(branches_[i].forward({shared.maps, {}}, mode));
    }
    const at::Tensor of_mean = branches_.back().forward({shared.mean, {}}, mode);
    joined.push_back(
        of_mean.expand({-1, -1, shared.maps.size(2), shared.maps.size(3)}).contiguous(at::MemoryFormat::ChannelsLast));
    return last_.forward({drop(project_.forward({at::cat(joined, 1), {}}, mode)), {}}, mode);
  }

  void fold_norms() {
    std::ranges::for_each(branches_, &Chain::fold_norms);
    project_.fold_norms();
    last_.fold_norms();
  }
  /// Of the first convolution.
  [[nodiscard]] at::Tensor first_weight() const { return branches_.front().first_weight(); }

 private:
  std::vector<Chain> branches_;  ///< the last one reads the mean
  Chain project_, last_;
};

class DeeplabNet final : public Network {
 public:
  DeeplabNet(const NetworkOptions& options, const net::Deeplab& layers)
      : Network(options.choice, {options.seed, options.device, options.dtype}),
        share_(options.choice.section.dropout),
        encoder_(parameters_, layers.encoder) {
    for (const net::Deeplab::Head& head : layers.heads) {
      heads_.emplace_back(parameters_, head);
    }
    parameters_.flatten();
  }

  [[nodiscard]] Predictions forward(const at::Tensor& image_n3hw, const Mode& mode) const override {
    check_image(image_n3hw);
    mode.enter(Part::encoder);
    const at::Tensor maps = encoder_.forward(image_n3hw.contiguous(at::MemoryFormat::ChannelsLast), mode).back();
    std::array<at::Tensor, 2> shared = {maps.mean(at::IntArrayRef({2, 3}), /*keepdim=*/true), maps};
    mode.enter(Part::decoders);
    if (mode.at_cut) {
      mode.at_cut(shared);
    }
    Predictions predictions;
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      const auto drop = [&](const at::Tensor& x) {
        return mode.training && share_ > 0.0
                   ? kernels::drop_values(
                         x, draws_of(mode, x.size(0), static_cast<std::int64_t>(t) * kDrawsOfHead, kDrawsOfHead),
                         share_)
                   : x;
      };
      const at::Tensor prediction = heads_[t].forward({shared[0], shared[1]}, mode, drop).to(parameters_.dtype());
      predictions.direct.emplace(tasks_[t].key,
                                 kernels::upsample_to(prediction, image_n3hw.size(2), image_n3hw.size(3)));
    }
    return predictions;
  }

  [[nodiscard]] std::unique_ptr<Network> folded() const override {
    auto net = std::make_unique<DeeplabNet>(*this);
    net->encoder_.fold_norms();
    std::ranges::for_each(net->heads_, &DeeplabHead::fold_norms);
    return net;
  }

  [[nodiscard]] bool has_cut() const override { return true; }
  [[nodiscard]] at::Tensor last_shared_layer() const override { return encoder_.last_3x3_weight(); }
  [[nodiscard]] at::Tensor first_own_layer(std::size_t task) const override { return heads_[task].first_weight(); }
  [[nodiscard]] std::int64_t num_draws() const override {
    return share_ == 0.0 ? 0 : kDrawsOfHead * static_cast<std::int64_t>(heads_.size());
  }

 private:
  double share_;
  ResNet encoder_;
  std::vector<DeeplabHead> heads_;  ///< one a task
};

}  // namespace

std::unique_ptr<Network> make_deeplab(const NetworkOptions& options) {
  return std::make_unique<DeeplabNet>(options, net::deeplab(options.choice));
}

}  // namespace xtasc::model
