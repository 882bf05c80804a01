#include "model/nets/xtasc.hpp"

#include <ATen/ATen.h>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "model/decoder.hpp"
#include "model/resnet.hpp"
#include "model/ttnet.hpp"
#include "model/unit_vectors.hpp"
#include "net/xtasc.hpp"

namespace xtasc::model {

namespace {

/// Of the classes, (N, K, H, W). CUDA's softmax over an inner dimension wants other layouts than channels-last, and
/// copies twice in each direction; over the last one it reads the tensor as it lies.
at::Tensor log_probabilities(const at::Tensor& seg_nkhw) {
  if (takes_cuda_form(seg_nkhw)) {
    return at::log_softmax(seg_nkhw.permute({0, 2, 3, 1}), 3).permute({0, 3, 1, 2});
  }
  return at::log_softmax(seg_nkhw, 1);
}

/// What a task-transfer net reads of a direct prediction.
at::Tensor as_input(task::Kind kind, const at::Tensor& prediction) {
  switch (kind) {
    case task::Kind::classes:
      return log_probabilities(prediction);
    case task::Kind::depth:
      return prediction;
    case task::Kind::unit_vector:
      return unit_vectors(prediction);
  }
  fail("unknown kind of task {}", static_cast<int>(kind));
}

class XtascNet final : public Network {
 public:
  XtascNet(const NetworkOptions& options, const net::Xtasc& layers)
      : Network(options.choice, {options.seed, options.device, options.dtype}), encoder_(parameters_, layers.encoder) {
    for (const net::Decoder& decoder : layers.decoders) {
      decoders_.emplace_back(parameters_, decoder);
    }
    for (const net::TransferNet& transfer : layers.transfer_nets) {
      transfer_nets_.push_back({tasks_[transfer.from], tasks_[transfer.to], TransferNet(parameters_, transfer)});
    }
    parameters_.flatten();
  }

  [[nodiscard]] Predictions forward(const at::Tensor& image_n3hw, const Mode& mode) const override {
    Predictions predictions = forward_direct(image_n3hw, mode);
    mode.enter(Part::transfer_nets);
    std::map<std::string_view, at::Tensor> inputs;  // a task's, for all that read it
    for (std::size_t i = 0; i < transfer_nets_.size(); ++i) {
      const auto& [from, to, net] = transfer_nets_[i];
      if (!mode.computes_transfer(i)) {
        continue;
      }
      at::Tensor& input = inputs[from.key];
      input = input.defined() ? input : as_input(from.kind, predictions.of(from.key));
      predictions.transferred.push_back({{std::string(from.key), std::string(to.key)}, net.forward(input, mode)});
    }
    return predictions;
  }

  [[nodiscard]] Predictions forward_direct(const at::Tensor& image_n3hw, const Mode& mode) const override {
    check_image(image_n3hw);
    mode.enter(Part::encoder);
    Features features = encoder_.forward(image_n3hw.contiguous(at::MemoryFormat::ChannelsLast), mode);
    mode.enter(Part::decoders);
    if (mode.at_cut) {
      mode.at_cut(features);
    }
    Predictions predictions;
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      predictions.direct.emplace(tasks_[i].key, decoders_[i].forward(features, mode));
    }
    return predictions;
  }

  [[nodiscard]] std::unique_ptr<Network> folded() const override {
    auto net = std::make_unique<XtascNet>(*this);
    net->encoder_.fold_norms();
    for (Decoder& decoder : net->decoders_) {
      decoder.fold_norms();
    }
    for (auto& one : net->transfer_nets_) {
      one.net.fold_norms();
    }
    return net;
  }

  [[nodiscard]] std::vector<Transfer> transfers() const override {
    std::vector<Transfer> all;
    for (const auto& [from, to, net] : transfer_nets_) {
      all.push_back({std::string(from.key), std::string(to.key)});
    }
    return all;
  }

  [[nodiscard]] bool has_cut() const override { return true; }

  [[nodiscard]] at::Tensor last_shared_layer() const override { return encoder_.last_3x3_weight(); }
  [[nodiscard]] at::Tensor first_own_layer(std::size_t task) const override { return decoders_[task].first_weight(); }

 private:
  struct TransferNetOf {
    task::Task from, to;
    TransferNet net;
  };

  ResNet encoder_;
  std::vector<Decoder> decoders_;  ///< one a task
  std::vector<TransferNetOf> transfer_nets_;
};

}  // namespace

std::unique_ptr<Network> make_xtasc_net(const NetworkOptions& options) {
  return std::make_unique<XtascNet>(options, net::xtasc(options.choice));
}

}  // namespace xtasc::model
