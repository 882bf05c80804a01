#include "loss/fused.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#ifdef XTASC_WITH_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

#include <array>
#include <optional>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "loss/fused_element.hpp"
#ifdef XTASC_WITH_CUDA
#include "loss/fused_kernels.hpp"
#endif

namespace xtasc::loss {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// What the losses look at, in the order of the function's arguments: (N, C, H, W), (N, 1, H, W), (N, 1, H, W),
/// (N, C, H, W); undefined where there is none.
enum Prediction : std::size_t { kSegIn, kDepthIn, kSegToDepthIn, kDepthToSegIn, kNumPredictions };

struct FusedOptions {
  PointError depth_error, seg_to_depth_error;
  bool holds_to_truth;
};

at::Tensor laid_out(const std::optional<at::Tensor>& x) {
  return x && x->defined() ? x->contiguous(at::MemoryFormat::ChannelsLast) : at::Tensor();
}

template <typename T>
const T* pointer_of(const at::Tensor& x) {
  return x.defined() ? x.const_data_ptr<T>() : nullptr;
}

template <typename T>
FusedInputs<T> inputs_of(const std::array<at::Tensor, kNumPredictions>& predictions, const at::Tensor& label_nhw,
                         const at::Tensor& depth_n1hw, const FusedOptions& options) {
  const at::Tensor& logits = predictions[kSegIn].defined() ? predictions[kSegIn] : predictions[kDepthToSegIn];
  return {.seg = pointer_of<T>(predictions[kSegIn]),
          .depth = pointer_of<T>(predictions[kDepthIn]),
          .seg_to_depth = pointer_of<T>(predictions[kSegToDepthIn]),
          .depth_to_seg = pointer_of<T>(predictions[kDepthToSegIn]),
          .label = label_nhw.const_data_ptr<std::int64_t>(),
          .target_depth = depth_n1hw.const_data_ptr<T>(),
          .num_classes = logits.defined() ? static_cast<std::int32_t>(logits.size(1)) : 0,
          .width = static_cast<std::int32_t>(label_nhw.size(2)),
          .num_rows = label_nhw.size(0) * label_nhw.size(1),
          .depth_error = options.depth_error,
          .seg_to_depth_error = options.seg_to_depth_error,
          .holds_to_truth = options.holds_to_truth};
}

#ifdef XTASC_WITH_CUDA
void* current_stream() {
  return c10::cuda::getCurrentCUDAStream().stream();
}
#endif

/// Of what is there: the predictions and both targets.
template <typename T>
std::int64_t bytes_of(const FusedInputs<T>& in) {
  const auto a_pixel = [](const T* maps, std::int64_t channels) { return maps == nullptr ? 0 : channels * sizeof(T); };
  const std::size_t bytes = a_pixel(in.seg, in.num_classes) + a_pixel(in.depth_to_seg, in.num_classes) +
                            a_pixel(in.depth, 1) + a_pixel(in.seg_to_depth, 1) + sizeof(T) + sizeof(*in.label);
  return in.num_rows * in.width * static_cast<std::int64_t>(bytes);
}

template <typename T>
void sum_rows(const FusedInputs<T>& in, const at::Tensor& row_sums) {
  const KernelMark mark("loss: rows", bytes_of(in));
  auto* sums = row_sums.mutable_data_ptr<double>();
#ifdef XTASC_WITH_CUDA
  if (row_sums.is_cuda()) {
    fused_losses_on_cuda(in, sums, current_stream());
    return;
  }
#endif
  at::parallel_for(0, in.num_rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t pixel = row * in.width; pixel < (row + 1) * in.width; ++pixel) {
        add_pixel_losses(in, pixel, sums + row * kNumRowSums);
      }
    }
  });
}

template <typename T>
void write_gradients(const FusedInputs<T>& in, const at::Tensor& factors_n4, std::int64_t height,
                     const FusedGradients<T>& out) {
  const KernelMark mark("loss: gradients", 2 * bytes_of(in));
  const auto* factors = factors_n4.const_data_ptr<T>();
#ifdef XTASC_WITH_CUDA
  if (factors_n4.is_cuda()) {
    fused_gradients_on_cuda(in, factors, height, out, current_stream());
    return;
  }
#endif
  at::parallel_for(0, in.num_rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const T* of_image = factors + 4 * (row / height);
      const PixelFactors<T> pixel_factors = {of_image[0], of_image[1], of_image[2], of_image[3]};
      for (std::int64_t pixel = row * in.width; pixel < (row + 1) * in.width; ++pixel) {
        write_pixel_gradients(in, pixel, pixel_factors, out);
      }
    }
  });
}

/// (4) sums in the order of RowSum, and (6) counts and what else is not differentiable.
struct FusedLosses : torch::autograd::Function<FusedLosses> {
  static variable_list forward(AutogradContext* context, const std::optional<at::Tensor>& seg,
                               const std::optional<at::Tensor>& depth, const std::optional<at::Tensor>& seg_to_depth,
                               const std::optional<at::Tensor>& depth_to_seg, const at::Tensor& label_nhw,
                               const at::Tensor& depth_n1hw, FusedOptions options) {
    const std::array predictions = {laid_out(seg), laid_out(depth), laid_out(seg_to_depth), laid_out(depth_to_seg)};
    const at::Tensor label = label_nhw.contiguous();
    const at::Tensor truth = depth_n1hw.contiguous();
    const at::Tensor row_sums =
        at::zeros({label.size(0), label.size(1), kNumRowSums}, truth.options().dtype(at::kDouble));
    if (truth.scalar_type() == at::kDouble) {
      sum_rows(inputs_of<double>(predictions, label, truth, options), row_sums);
    } else {
      sum_rows(inputs_of<float>(predictions, label, truth, options), row_sums);
    }
    const at::Tensor by_image = row_sums.sum(1);
    const at::Tensor num_valid = by_image.select(1, kValid);
    const at::Tensor of_pixel_means = num_valid.clamp_min(1.0).reciprocal();
    const at::Tensor one = at::ones_like(num_valid);
    // A pixel of a segmentation counts as it is, one of a depth by the number of valid ones in its image.
    const at::Tensor share_n4 = at::stack({one, of_pixel_means, of_pixel_means, one}, 1);
    const at::Tensor sums = (by_image.narrow(1, 0, 4) * share_n4).sum(0).to(truth.scalar_type());
    const at::Tensor counts = at::stack({by_image.select(1, kLabelled).sum(), (num_valid > 0).sum()}).to(at::kLong);
    context->save_for_backward(
        {predictions[0], predictions[1], predictions[2], predictions[3], label, truth, share_n4});
    context->saved_data["depth_error"] = static_cast<std::int64_t>(options.depth_error);
    context->saved_data["seg_to_depth_error"] = static_cast<std::int64_t>(options.seg_to_depth_error);
    context->saved_data["holds_to_truth"] = options.holds_to_truth;
    context->mark_non_differentiable({counts});
    return {sums, counts};
  }

  template <typename T>
  static void gradients_of(const std::array<at::Tensor, kNumPredictions>& predictions, const at::Tensor& label,
                           const at::Tensor& truth, const FusedOptions& options, const at::Tensor& factors_n4,
                           const std::array<at::Tensor, kNumPredictions>& gradients) {
    const auto to = [&](Prediction which) {
      return gradients[which].defined() ? gradients[which].template mutable_data_ptr<T>() : nullptr;
    };
    write_gradients<T>(inputs_of<T>(predictions, label, truth, options), factors_n4, label.size(1),
                       {.seg = to(kSegIn),
                        .depth = to(kDepthIn),
                        .seg_to_depth = to(kSegToDepthIn),
                        .depth_to_seg = to(kDepthToSegIn)});
  }

  static variable_list backward(AutogradContext* context, const variable_list& incoming) {
    const auto saved = context->get_saved_variables();
    const std::array predictions = {saved[0], saved[1], saved[2], saved[3]};
    const at::Tensor& label = saved[4];
    const at::Tensor& truth = saved[5];
    const FusedOptions options = {
        .depth_error = static_cast<PointError>(context->saved_data["depth_error"].toInt()),
        .seg_to_depth_error = static_cast<PointError>(context->saved_data["seg_to_depth_error"].toInt()),
        .holds_to_truth = context->saved_data["holds_to_truth"].toBool()};
    const at::Tensor factors_n4 = (saved[6] * incoming[0]).to(truth.scalar_type()).contiguous();
    std::array<at::Tensor, kNumPredictions> gradients;
    for (std::size_t i = 0; i < kNumPredictions; ++i) {
      if (predictions[i].defined()) {
        gradients[i] = at::empty_like(predictions[i]);
      }
    }
    if (truth.scalar_type() == at::kDouble) {
      gradients_of<double>(predictions, label, truth, options, factors_n4, gradients);
    } else {
      gradients_of<float>(predictions, label, truth, options, factors_n4, gradients);
    }
    return {gradients[0], gradients[1], gradients[2], gradients[3], {}, {}, {}};
  }
};

PointError point_error_of(config::DepthLoss kind) {
  switch (kind) {
    case config::DepthLoss::l1:
      return PointError::l1;
    case config::DepthLoss::mse:
      return PointError::mse;
    case config::DepthLoss::log_l1:
      return PointError::log_l1;
    case config::DepthLoss::smooth_l1:
      return PointError::smooth_l1;
  }
  fail("unknown depth loss {}", static_cast<int>(kind));
}

}  // namespace

bool suits_fused(config::System system, const config::LossSection& options, const LossInputs& predictions) {
  const at::Tensor& any = predictions.seg_nchw.defined() ? predictions.seg_nchw : predictions.depth_n1hw;
  const bool has_plain_targets = options.transferred_depth == config::TransferredDepthLoss::l1 &&
                                 options.transferred_segmentation == config::TransferredSegmentationLoss::cross &&
                                 !options.soft_target && options.label_smoothing == 0.0;
  return (any.is_cpu() || any.is_cuda()) && (system != config::System::xtasc || has_plain_targets);
}

TaskLosses fused_task_losses(config::System system, const config::LossSection& options, const LossInputs& predictions,
                             const Targets& targets) {
  check(suits_fused(system, options, predictions), "these losses are not fused");
  const bool is_aligned = system == config::System::align;
  const PointError depth_error = point_error_of(options.depth);
  const auto results =
      FusedLosses::apply(std::optional(predictions.seg_nchw), std::optional(predictions.depth_n1hw),
                         std::optional(predictions.seg_to_depth_n1hw), std::optional(predictions.depth_to_seg_nchw),
                         targets.labels_nhw, targets.depth_n1hw,
                         FusedOptions{.depth_error = depth_error,
                                      .seg_to_depth_error = is_aligned ? depth_error : PointError::l1,
                                      .holds_to_truth = is_aligned});
  const auto loss = [&](RowSum which, std::int64_t count) {
    return SummedLoss{.sum = results[0][which], .count = results[1][count]};
  };
  constexpr std::int64_t kPixels = 0, kImages = 1;
  TaskLosses losses;
  if (predictions.seg_nchw.defined()) {
    losses.seg = loss(kSegSum, kPixels);
  }
  if (predictions.depth_n1hw.defined()) {
    losses.depth = loss(kDepthSum, kImages);
  }
  if (predictions.seg_to_depth_n1hw.defined()) {
    losses.seg_to_depth = loss(kSegToDepthSum, kImages);
    losses.depth_to_seg = loss(kDepthToSegSum, kPixels);
  }
  return losses;
}

}  // namespace xtasc::loss
