#include "model/nets/segnet.hpp"

#include <ATen/ATen.h>

#include "model/segnet.hpp"

namespace xtasc::model {

namespace {

class SegNetOfTasks final : public Network {
 public:
  explicit SegNetOfTasks(const NetworkOptions& options)
      : Network(options.choice, {options.seed, options.device, options.dtype}),
        trunk_(parameters_, net::segnet(static_cast<std::int64_t>(tasks_.size()))) {
    heads_ = make_chains(parameters_, net::segnet_heads(options.choice, Init::xavier_normal));
    parameters_.flatten();
  }

  [[nodiscard]] Predictions forward(const at::Tensor& image_n3hw, const Mode& mode) const override {
    check_image(image_n3hw);
    mode.enter(Part::encoder);
    const SegNet::Down down = trunk_.down(image_n3hw, mode);
    mode.enter(Part::decoders);
    std::array<at::Tensor, 1> shared = {trunk_.up(down, mode).second[0]};
    if (mode.at_cut) {
      mode.at_cut(shared);
    }
    Predictions predictions;
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      const at::Tensor prediction = heads_[t].forward({shared[0], {}}, mode);
      predictions.direct.emplace(tasks_[t].key, prediction.to(parameters_.dtype()));
    }
    return predictions;
  }

  [[nodiscard]] std::unique_ptr<Network> folded() const override {
    auto net = std::make_unique<SegNetOfTasks>(*this);
    net->trunk_.fold_norms();
    return net;
  }

  [[nodiscard]] bool has_cut() const override { return true; }
  [[nodiscard]] at::Tensor last_shared_layer() const override { return trunk_.last_weight(); }
  [[nodiscard]] at::Tensor first_own_layer(std::size_t task) const override { return heads_[task].first_weight(); }

 private:
  SegNet trunk_;
  std::vector<Chain> heads_;  ///< one a task
};

}  // namespace

std::unique_ptr<Network> make_segnet(const NetworkOptions& options) {
  return std::make_unique<SegNetOfTasks>(options);
}

}  // namespace xtasc::model
