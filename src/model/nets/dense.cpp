#include "model/nets/dense.hpp"

#include <ATen/ATen.h>

#include "model/segnet.hpp"
#include "net/dense.hpp"

namespace xtasc::model {

namespace {

class DenseNet final : public Network {
 public:
  DenseNet(const NetworkOptions& options, const net::Dense& layers)
      : Network(options.choice, {options.seed, options.device, options.dtype}), shared_(parameters_, layers.shared) {
    for (const net::Blocks& own : layers.of_tasks) {
      of_tasks_.emplace_back(parameters_, own);
    }
    heads_ = make_chains(parameters_, layers.heads);
    parameters_.flatten();
  }

  [[nodiscard]] Predictions forward(const at::Tensor& image_n3hw, const Mode& mode) const override {
    check_image(image_n3hw);
    const at::Tensor image = image_n3hw.contiguous(at::MemoryFormat::ChannelsLast);
    mode.enter(Part::encoder);
    std::array<kernels::MaxPooled, 5> shared;  // at 1/2^(i + 1)
    for (std::size_t i = 0; i < 5; ++i) {
      shared[i] = shared_.down(i, {i == 0 ? image : shared[i - 1].values, {}}, mode);
    }
    std::vector<std::array<kernels::MaxPooled, 5>> own(of_tasks_.size());
    for (std::size_t t = 0; t < of_tasks_.size(); ++t) {
      for (std::size_t i = 0; i < 5; ++i) {
        own[t][i] =
            of_tasks_[t].down(i, i == 0 ? Joined{image, {}} : Joined{own[t][i - 1].values, shared[i - 1].values}, mode);
      }
    }
    mode.enter(Part::decoders);
    std::array<at::Tensor, 5> unpooled;  // of the shared net, at 1/2^i
    at::Tensor x = shared[4].values;
    for (std::size_t i = 5; i-- > 0;) {
      unpooled[i] = kernels::unpool_2x2(x, shared[i].which);
      x = i == 0 ? x : shared_.decoder[i].forward({unpooled[i], {}}, mode);
    }
    Predictions predictions;
    for (std::size_t t = 0; t < of_tasks_.size(); ++t) {
      at::Tensor y = own[t][4].values;
      for (std::size_t i = 5; i-- > 0;) {
        y = of_tasks_[t].decoder[i].forward({kernels::unpool_2x2(y, own[t][i].which), unpooled[i]}, mode);
      }
      predictions.direct.emplace(tasks_[t].key, heads_[t].forward({y, {}}, mode).to(parameters_.dtype()));
    }
    return predictions;
  }

  [[nodiscard]] std::unique_ptr<Network> folded() const override {
    auto net = std::make_unique<DenseNet>(*this);
    net->shared_.fold_norms();
    std::ranges::for_each(net->of_tasks_, &BlocksOfNet::fold_norms);
    return net;
  }

  [[nodiscard]] at::Tensor last_shared_layer() const override { return shared_.decoder[1].last_weight(); }
  [[nodiscard]] at::Tensor first_own_layer(std::size_t task) const override {
    return of_tasks_[task].encoder[0].first_weight();
  }

 private:
  BlocksOfNet shared_;
  std::vector<BlocksOfNet> of_tasks_;
  std::vector<Chain> heads_;  ///< one a task
};

}  // namespace

std::unique_ptr<Network> make_dense(const NetworkOptions& options) {
  return std::make_unique<DenseNet>(options, net::dense(options.choice));
}

}  // namespace xtasc::model
