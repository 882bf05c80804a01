#include "model/net.hpp"

#include <ATen/ATen.h>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"

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

}  // namespace

Net::Net(const config::ModelSection& options, std::int64_t num_classes, std::uint64_t seed, at::Device device,
         at::ScalarType dtype)
    : parameters_(seed, device, dtype), num_classes_(num_classes), encoder_(parameters_, "encoder.", options.encoder) {
  const auto width = options.decoder_width;
  if (config::has_segmentation(options.system)) {
    check(num_classes >= 2, "segmentation needs at least 2 classes, found {}", num_classes);
    seg_decoder_.emplace(parameters_, "seg_decoder.", options.encoder, width, num_classes);
  }
  if (config::has_depth(options.system)) {
    depth_decoder_.emplace(parameters_, "depth_decoder.", options.encoder, width, 1);
  }
  if (config::has_transfer(options.system)) {
    const TransferNet::Options transfer = {.widths = options.ttnet_widths, .batch_norm = options.ttnet_batch_norm};
    seg_to_depth_.emplace(parameters_, "seg_to_depth.", num_classes, 1, transfer);
    depth_to_seg_.emplace(parameters_, "depth_to_seg.", 1, num_classes, transfer);
  }
  parameters_.flatten();
}

Features Net::encode(const at::Tensor& image_n3hw, const Mode& mode) const {
  check(
      image_n3hw.dim() == 4 && image_n3hw.size(1) == 3 && image_n3hw.size(2) % 32 == 0 && image_n3hw.size(3) % 32 == 0,
      "images must be N x 3 x H x W with H and W multiples of 32, found {}", fmt::join(image_n3hw.sizes(), " x "));
  return encoder_.forward(image_n3hw.contiguous(at::MemoryFormat::ChannelsLast), mode);
}

Predictions Net::decode_direct(const Features& features, const Mode& mode) const {
  Predictions predictions;
  if (seg_decoder_) {
    predictions.seg = seg_decoder_->forward(features, mode);
  }
  if (depth_decoder_) {
    predictions.depth = depth_decoder_->forward(features, mode);
  }
  return predictions;
}

void Net::transfer(Predictions& predictions, const Mode& mode) const {
  if (seg_to_depth_) {
    predictions.seg_to_depth = seg_to_depth_->forward(log_probabilities(predictions.seg), mode);
    predictions.depth_to_seg = depth_to_seg_->forward(predictions.depth, mode);
  }
}

Predictions Net::forward(const at::Tensor& image_n3hw, const Mode& mode) const {
  Predictions predictions = forward_direct(image_n3hw, mode);
  transfer(predictions, mode);
  return predictions;
}

Predictions Net::forward_direct(const at::Tensor& image_n3hw, const Mode& mode) const {
  return decode_direct(encode(image_n3hw, mode), mode);
}

Net Net::folded() const {
  Net net = *this;
  net.encoder_.fold_norms();
  for (auto* decoder : {&net.seg_decoder_, &net.depth_decoder_}) {
    if (*decoder) {
      (*decoder)->fold_norms();
    }
  }
  for (auto* transfer : {&net.seg_to_depth_, &net.depth_to_seg_}) {
    if (*transfer) {
      (*transfer)->fold_norms();
    }
  }
  return net;
}

Net::GradientParts Net::gradient_parts() const {
  const auto part = [this](const char* prefix) { return parameters_.flat_gradients(prefix); };
  return {.shared = part("encoder."),
          .own = {{{part("seg_decoder."), part("seg_to_depth.")}, {part("depth_decoder."), part("depth_to_seg.")}}}};
}

}  // namespace xtasc::model
