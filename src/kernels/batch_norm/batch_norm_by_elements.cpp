#include "kernels/batch_norm/batch_norm_by_elements.hpp"

#include <ATen/ATen.h>

#include <cstdint>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "kernels/batch_norm/batch_norm_cuda.hpp"
#include "kernels/batch_norm/batch_norm_loops.hpp"
#include "kernels/batch_norm/batch_norm_training.hpp"
#include "kernels/kernel_memory.hpp"

namespace xtasc::kernels::by_elements {

namespace {

template <typename T, int kPack, SumOf kOf>
void sum_norm_blocks(const NormInput<T>& in, const NormGrid& grid, double* partial) {
  sum_blocks<kPack>(grid, partial, [&](const NormPart& part, double(&sums)[2 * kPack]) {
    add_part<T, kPack, kOf>(in, grid, part, sums);
  });
}

template <typename T, int kPack>
void sum_on_cpu(const NormInput<T>& in, SumOf of, const NormGrid& grid, double* partial) {
  switch (of) {
    case SumOf::x:
      return sum_norm_blocks<T, kPack, SumOf::x>(in, grid, partial);
    case SumOf::gradient:
      return sum_norm_blocks<T, kPack, SumOf::gradient>(in, grid, partial);
    case SumOf::gated_gradient:
      return sum_norm_blocks<T, kPack, SumOf::gated_gradient>(in, grid, partial);
  }
}

template <typename T, int kPack, bool kRelu>
void scale_shift_on_cpu(const NormInput<T>& in, const NormGrid& grid, T* y) {
  for_parts(grid, [&](const NormPart& part) { write_scaled_and_shifted<T, kPack, kRelu>(in, grid, part, y); });
}

template <typename T, int kPack, bool kRelu>
void gradient_on_cpu(const NormInput<T>& in, const NormFactors<T>& factors, const NormGrid& grid, T* grad_x) {
  for_parts(grid, [&](const NormPart& part) { write_gradient<T, kPack, kRelu>(in, factors, grid, part, grad_x); });
}

NormGrid grid_of(const at::Tensor& x) {
  xtasc::check(x.is_cuda() || x.is_cpu(), "batch norm: no elements on {}", x.device().str());
  return norm_grid(x.size(0) * x.size(2) * x.size(3), x.size(1));
}

/// As a kernel may read them. What is not read may be undefined.
NormOperands laid_out(const NormOperands& in) {
  const auto contiguous = [](const at::Tensor& c) { return c.defined() ? c.contiguous() : c; };
  return {in.grad_y.defined() ? kernels::laid_out(in.grad_y) : in.grad_y, kernels::laid_out(in.x), contiguous(in.scale),
          contiguous(in.shift)};
}

template <typename T>
NormInput<T> input_of(const NormOperands& in) {
  return {pointer_to<T>(in.grad_y), pointer_to<T>(in.x), pointer_to<Real<T>>(in.scale), pointer_to<Real<T>>(in.shift)};
}

/// What batch_norm_training.hpp asks for.
struct Loops {
  template <typename T, typename Finish>
  static void sum(const NormOperands& operands, SumOf of, const Finish& finish) {
    const NormOperands in = laid_out(operands);
    const NormGrid grid = grid_of(in.x);
    const at::Tensor partial = at::empty({grid.slices, 2, grid.channels}, in.x.options().dtype(at::kDouble));
    auto* by_slice = partial.mutable_data_ptr<double>();
    { const KernelMark slices("batch norm: slices"); }
    const KernelMark mark("batch norm: sums", bytes_of({in.x, in.grad_y}));
    if (in.x.is_cuda()) {
      norm_sums_on_cuda(input_of<T>(in), of, grid, by_slice, current_stream());
      finish_slices_on_cuda(by_slice, grid, finish, current_stream());
      return;
    }
    grid.pack == kNormPack ? sum_on_cpu<T, kNormPack>(input_of<T>(in), of, grid, by_slice)
                           : sum_on_cpu<T, 1>(input_of<T>(in), of, grid, by_slice);
    finish_slices(by_slice, grid, finish);
  }

  template <typename Finish>
  static void for_channels(const at::Tensor& sums, const Finish& finish) {
    const std::int64_t channels = sums.numel() / 2;
    const auto* data = sums.const_data_ptr<double>();
    const KernelMark mark("batch norm: channels");
    if (sums.is_cuda()) {
      finish_channels_on_cuda(data, channels, finish, current_stream());
      return;
    }
    for (std::int64_t c = 0; c < channels; ++c) {
      finish(c, data[c], data[channels + c]);
    }
  }
};

}  // namespace

NormStatistics statistics_of(const at::Tensor& x, const NormTensors& norm, const SumOverRanks& sum_over_ranks) {
  return statistics_by<Loops>(x, norm, sum_over_ranks);
}

NormGradientFactors gradient_factors(const NormOperands& in, const NormStatistics& statistics, const at::Tensor& weight,
                                     const NormGradients& gradients, bool relu, const SumOverRanks& sum_over_ranks) {
  return gradient_factors_by<Loops>(in, statistics, weight, gradients, relu, sum_over_ranks);
}

at::Tensor scale_shift(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift, bool relu) {
  const NormOperands in = laid_out({{}, x, scale, shift});
  const NormGrid grid = grid_of(in.x);
  const at::Tensor y = at::empty_like(in.x);
  const KernelMark mark("batch norm: scale and shift", bytes_of({in.x, y}));
  with_norm_type(in.x, [&]<typename T>(T* /*type*/) {
    auto* out = static_cast<T*>(y.mutable_data_ptr());
    if (y.is_cuda()) {
      scale_shift_on_cuda(input_of<T>(in), relu, grid, out, current_stream());
      return;
    }
    const bool packed = grid.pack == kNormPack;
    const auto run = packed ? (relu ? scale_shift_on_cpu<T, kNormPack, true> : scale_shift_on_cpu<T, kNormPack, false>)
                            : (relu ? scale_shift_on_cpu<T, 1, true> : scale_shift_on_cpu<T, 1, false>);
    run(input_of<T>(in), grid, out);
  });
  return y;
}

at::Tensor gradient_of_x(const NormOperands& operands, bool relu, const NormGradientFactors& by_channel) {
  const NormOperands in = laid_out(operands);
  const NormGrid grid = grid_of(in.x);
  const at::Tensor grad_x = at::empty_like(in.x);
  const KernelMark mark("batch norm: gradient", bytes_of({in.grad_y, in.x, grad_x}));
  const at::Tensor abc[] = {by_channel.a.contiguous(), by_channel.b.contiguous(), by_channel.c.contiguous()};
  with_norm_type(in.x, [&]<typename T>(T* /*type*/) {
    auto* out = static_cast<T*>(grad_x.mutable_data_ptr());
    const NormFactors<T> factors = {pointer_to<Real<T>>(abc[0]), pointer_to<Real<T>>(abc[1]),
                                    pointer_to<Real<T>>(abc[2])};
    if (grad_x.is_cuda()) {
      gradient_of_x_on_cuda(input_of<T>(in), factors, relu, grid, out, current_stream());
      return;
    }
    const bool packed = grid.pack == kNormPack;
    const auto run = packed ? (relu ? gradient_on_cpu<T, kNormPack, true> : gradient_on_cpu<T, kNormPack, false>)
                            : (relu ? gradient_on_cpu<T, 1, true> : gradient_on_cpu<T, 1, false>);
    run(input_of<T>(in), factors, grid, out);
  });
  return grad_x;
}

}  // namespace xtasc::kernels::by_elements
