#include "kernels/losses/fused_losses.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "kernels/kernel_memory.hpp"
#include "kernels/losses/fused_losses_cuda.hpp"

namespace xtasc::kernels {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// \param predictions  one a term, in memory as FusedInputs wants them; the first ones are the targets' direct ones
/// \param truths       one a target \param has_labels  (targets, N), or undefined
template <typename T>
FusedInputs<T> inputs_of(const FusedLayout& layout, const variable_list& predictions, const variable_list& truths,
                         const at::Tensor& has_labels) {
  FusedInputs<T> in;
  in.has_unlabelled = has_labels.defined();
  in.num_targets = static_cast<std::int32_t>(layout.num_targets());
  in.num_terms = static_cast<std::int32_t>(layout.num_terms());
  for (std::size_t k = 0; k < layout.num_targets(); ++k) {
    FusedTarget<T>& target = in.targets[k];
    target.channels = static_cast<std::int32_t>(predictions[k].size(1));
    target.kind = static_cast<TargetKind>(layout.kind[k]);
    if (in.has_unlabelled) {
      target.has = has_labels[static_cast<std::int64_t>(k)].const_data_ptr<std::uint8_t>();
    }
    if (target.kind == TargetKind::classes) {
      target.label = truths[k].const_data_ptr<std::int64_t>();
    } else {
      target.truth = truths[k].const_data_ptr<T>();
    }
  }
  for (std::size_t i = 0; i < layout.num_terms(); ++i) {
    const auto target = static_cast<std::size_t>(layout.target[i]);
    in.terms[i] = {.prediction = predictions[i].const_data_ptr<T>(),
                   .target = static_cast<std::int32_t>(target),
                   .error = static_cast<PointError>(layout.error[i]),
                   .holds_to_direct = layout.holds_to_direct[i] != 0};
    if (in.terms[i].holds_to_direct) {
      in.targets[target].direct = predictions[target].const_data_ptr<T>();
    }
  }
  in.width = static_cast<std::int32_t>(predictions.front().size(3));
  in.num_rows = predictions.front().size(0) * predictions.front().size(2);
  in.image_pixels = predictions.front().size(2) * predictions.front().size(3);
  return in;
}

/// Of what is there: the predictions and the truth.
template <typename T>
std::int64_t bytes_of_losses(const FusedInputs<T>& in) {
  std::size_t bytes = 0;
  for (std::int32_t i = 0; i < in.num_terms; ++i) {
    bytes += static_cast<std::size_t>(in.targets[in.terms[i].target].channels) * sizeof(T);
  }
  for (std::int32_t k = 0; k < in.num_targets; ++k) {
    bytes += in.targets[k].label != nullptr ? sizeof(std::int64_t)
                                            : static_cast<std::size_t>(in.targets[k].channels) * sizeof(T);
  }
  return in.num_rows * in.width * static_cast<std::int64_t>(bytes);
}

template <typename T>
void sum_rows(const FusedInputs<T>& in, const at::Tensor& row_sums) {
  const KernelMark mark("loss: rows", bytes_of_losses(in));
  auto* sums = row_sums.mutable_data_ptr<double>();
  if (row_sums.is_cuda()) {
    fused_losses_on_cuda(in, sums, current_stream());
    return;
  }
  at::parallel_for(0, in.num_rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t pixel = row * in.width; pixel < (row + 1) * in.width; ++pixel) {
        add_pixel_losses(in, pixel, sums + row * in.num_sums());
      }
    }
  });
}

template <typename T>
void write_gradients(const FusedInputs<T>& in, const at::Tensor& factors_nk, std::int64_t height,
                     const FusedGradients<T>& out) {
  const KernelMark mark("loss: gradients", 2 * bytes_of_losses(in));
  const auto* factors = factors_nk.const_data_ptr<T>();
  if (factors_nk.is_cuda()) {
    fused_gradients_on_cuda(in, factors, height, out, current_stream());
    return;
  }
  at::parallel_for(0, in.num_rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t pixel = row * in.width; pixel < (row + 1) * in.width; ++pixel) {
        write_pixel_gradients(in, pixel, factors + in.num_terms * (row / height), out);
      }
    }
  });
}

template <typename T>
void gradients_of(const FusedInputs<T>& in, const at::Tensor& factors_nk, std::int64_t height,
                  const variable_list& gradients) {
  FusedGradients<T> out;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    out.of_term[i] = gradients[i].template mutable_data_ptr<T>();
  }
  write_gradients(in, factors_nk, height, out);
}

/// What an image's sums are multiplied by, and what they are divided by in the end.
struct Counted {
  at::Tensor share_n;  ///< of classes and vectors, a pixel counts as it is; a number by those counted in its image
  at::Tensor count;    ///< 0-D: pixels; of numbers images
};

Counted counted_of(TargetKind kind, const at::Tensor& counted_n) {
  if (kind == TargetKind::numbers) {
    return {counted_n.clamp_min(1.0).reciprocal(), (counted_n > 0).sum()};
  }
  return {at::ones_like(counted_n), counted_n.sum()};
}

/// (terms) sums, and (terms) counts.
struct FusedLosses : torch::autograd::Function<FusedLosses> {
  /// \param flags  has_labels, if there are any: an undefined tensor can be no input of a node
  static variable_list forward(AutogradContext* context, at::TensorList given, at::TensorList given_truths,
                               const std::optional<at::Tensor>& flags, const FusedLayout& layout) {
    const at::Tensor has_labels = flags.value_or(at::Tensor());
    variable_list predictions, truths;
    for (const at::Tensor& prediction : given) {
      predictions.push_back(prediction.contiguous(at::MemoryFormat::ChannelsLast));
    }
    for (const at::Tensor& truth : given_truths) {
      truths.push_back(truth.dim() == 4 ? truth.contiguous(at::MemoryFormat::ChannelsLast) : truth.contiguous());
    }
    const auto type = predictions.front().scalar_type();
    const auto num_terms = static_cast<std::int64_t>(layout.num_terms());
    const auto num_targets = static_cast<std::int64_t>(layout.num_targets());
    const std::int64_t num_counts = num_targets * (has_labels.defined() ? 2 : 1);
    const at::Tensor row_sums =
        at::zeros({predictions.front().size(0), predictions.front().size(2), num_terms + num_counts},
                  predictions.front().options().dtype(at::kDouble));
    if (type == at::kDouble) {
      sum_rows(inputs_of<double>(layout, predictions, truths, has_labels), row_sums);
    } else {
      sum_rows(inputs_of<float>(layout, predictions, truths, has_labels), row_sums);
    }
    const at::Tensor by_image = row_sums.sum(1);
    std::vector<Counted> counted;  // known values of each target, then those that are held to the direct prediction
    for (std::int64_t k = 0; k < num_counts; ++k) {
      counted.push_back(counted_of(static_cast<TargetKind>(layout.kind[static_cast<std::size_t>(k % num_targets)]),
                                   by_image.select(1, num_terms + k)));
    }
    variable_list shares, counts;
    for (std::size_t i = 0; i < layout.num_terms(); ++i) {
      const bool is_held = has_labels.defined() && layout.holds_to_direct[i] != 0;
      const Counted& of_term = counted[static_cast<std::size_t>(layout.target[i] + (is_held ? num_targets : 0))];
      shares.push_back(of_term.share_n);
      counts.push_back(of_term.count);
    }
    const at::Tensor share_nk = at::stack(shares, 1);
    const at::Tensor sums = (by_image.narrow(1, 0, num_terms) * share_nk).sum(0).to(type);
    const at::Tensor all_counts = at::stack(counts).to(at::kLong);
    variable_list saved = predictions;
    saved.insert(saved.end(), truths.begin(), truths.end());
    saved.push_back(share_nk);
    saved.push_back(has_labels);
    context->save_for_backward(std::move(saved));
    context->saved_data["kind"] = layout.kind;
    context->saved_data["target"] = layout.target;
    context->saved_data["error"] = layout.error;
    context->saved_data["holds_to_direct"] = layout.holds_to_direct;
    context->mark_non_differentiable({all_counts});
    return {sums, all_counts};
  }

  static variable_list backward(AutogradContext* context, const variable_list& incoming) {
    const auto saved = context->get_saved_variables();
    const auto numbers = [&](const char* name) { return context->saved_data[name].toIntVector(); };
    const FusedLayout layout = {.kind = numbers("kind"),
                                .target = numbers("target"),
                                .error = numbers("error"),
                                .holds_to_direct = numbers("holds_to_direct")};
    const auto behind_terms = saved.begin() + static_cast<std::ptrdiff_t>(layout.num_terms());
    const variable_list predictions(saved.begin(), behind_terms);
    const variable_list truths(behind_terms, saved.end() - 2);
    const at::Tensor& share_nk = saved[saved.size() - 2];
    const at::Tensor& has_labels = saved.back();
    const auto type = predictions.front().scalar_type();
    const at::Tensor factors_nk = (share_nk * incoming[0]).to(type).contiguous();
    const std::int64_t height = predictions.front().size(2);
    variable_list gradients;
    for (const at::Tensor& prediction : predictions) {
      gradients.push_back(at::empty_like(prediction));
    }
    if (type == at::kDouble) {
      gradients_of(inputs_of<double>(layout, predictions, truths, has_labels), factors_nk, height, gradients);
    } else {
      gradients_of(inputs_of<float>(layout, predictions, truths, has_labels), factors_nk, height, gradients);
    }
    gradients.resize(gradients.size() + truths.size() + 2);  // none of the truths, the flags and the layout
    return gradients;
  }
};

}  // namespace

FusedSums fused_losses(at::TensorList predictions, at::TensorList truths, const at::Tensor& has_labels,
                       const FusedLayout& layout) {
  check(layout.num_terms() <= kMaxFusedTerms && layout.num_targets() <= kMaxFusedTargets,
        "fused losses: {} terms of {} targets, at most {} of {} are possible", layout.num_terms(), layout.num_targets(),
        kMaxFusedTerms, kMaxFusedTargets);
  const auto flags = has_labels.defined() ? std::optional(has_labels) : std::nullopt;
  const variable_list found = FusedLosses::apply(predictions, truths, flags, layout);
  return {found[0], found[1]};
}

}  // namespace xtasc::kernels
