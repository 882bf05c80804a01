#include "model/batch_norm_by_elements.hpp"

#include <ATen/ATen.h>
#ifdef XTASC_WITH_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

#include <cstdint>
#include <initializer_list>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "model/batch_norm_element.hpp"
#ifdef XTASC_WITH_CUDA
#include "model/batch_norm_cuda.hpp"
#endif

namespace xtasc::model::by_elements {

namespace {

#ifdef XTASC_WITH_CUDA
void* current_stream() {
  return c10::cuda::getCurrentCUDAStream().stream();
}
#endif

/// Calls f with every thread of a block.
template <typename F>
void for_threads(const F& f) {
  for (std::int32_t thread = 0; thread < kNormThreads; ++thread) {
    f(thread);
  }
}

/// Calls f with each block's tile and slice.
template <typename F>
void for_blocks(const NormGrid& grid, const F& f) {
  for (std::int64_t tile = 0; tile < grid.tiles; ++tile) {
    for (std::int64_t slice = 0; slice < grid.slices; ++slice) {
      f(tile, slice);
    }
  }
}

template <int kNum>
void add_up(NormShared<kNum>& shared, std::int32_t remaining) {
  for (std::int32_t half = kNormThreads / 2; half >= remaining; half /= 2) {
    for_threads([&](std::int32_t thread) { add_upper_half<kNum>(shared, thread, half); });
  }
}

template <typename T, int kPack, SumOf kOf>
void sum_blocks(const NormInput<T>& in, const NormGrid& grid, double* partial) {
  for_blocks(grid, [&](std::int64_t tile, std::int64_t slice) {
    NormShared<2 * kPack> shared;
    for_threads([&](std::int32_t thread) {
      double sums[2 * kPack] = {};
      add_part<T, kPack, kOf>(in, grid, norm_part(grid, tile, slice, thread), sums);
      for (int i = 0; i < 2 * kPack; ++i) {
        shared[i][thread] = sums[i];
      }
    });
    add_up<2 * kPack>(shared, grid.lanes);
    for_threads([&](std::int32_t thread) {
      write_block_sums<kPack>(shared, grid, norm_part(grid, tile, slice, thread), slice, thread, partial);
    });
  });
}

void sum_slices(const NormGrid& grid, const double* partial, double* sums) {
  for (std::int64_t first = 0; first < 2 * grid.channels; first += kNormColumns) {
    NormShared<1> shared;
    for_threads([&](std::int32_t thread) {
      shared[0][thread] = sum_of_slices(partial, grid, first + thread % kNormColumns, thread);
    });
    add_up<1>(shared, kNormColumns);
    for (std::int32_t i = 0; i < kNormColumns && first + i < 2 * grid.channels; ++i) {
      sums[first + i] = shared[0][i];
    }
  }
}

template <typename T, int kPack>
void sum_on_cpu(const NormInput<T>& in, SumOf of, const NormGrid& grid, double* partial, double* sums) {
  switch (of) {
    case SumOf::x:
      sum_blocks<T, kPack, SumOf::x>(in, grid, partial);
      break;
    case SumOf::gradient:
      sum_blocks<T, kPack, SumOf::gradient>(in, grid, partial);
      break;
    case SumOf::gated_gradient:
      sum_blocks<T, kPack, SumOf::gated_gradient>(in, grid, partial);
      break;
  }
  sum_slices(grid, partial, sums);
}

/// Calls f with the part of every thread of the grid.
template <typename F>
void for_parts(const NormGrid& grid, const F& f) {
  for_blocks(grid, [&](std::int64_t tile, std::int64_t slice) {
    for_threads([&](std::int32_t thread) { f(norm_part(grid, tile, slice, thread)); });
  });
}

template <typename T, int kPack, bool kRelu>
void scale_shift_on_cpu(const NormInput<T>& in, const NormGrid& grid, T* y) {
  for_parts(grid, [&](const NormPart& part) { write_scaled_and_shifted<T, kPack, kRelu>(in, grid, part, y); });
}

template <typename T, int kPack, bool kRelu>
void gradient_on_cpu(const NormInput<T>& in, const NormFactors<T>& factors, const NormGrid& grid, T* grad_x) {
  for_parts(grid, [&](const NormPart& part) { write_gradient<T, kPack, kRelu>(in, factors, grid, part, grad_x); });
}

/// Calls f with a null pointer to the type that holds the elements of x.
template <typename F>
void with_type(const at::Tensor& x, const F& f) {
  switch (x.scalar_type()) {
    case at::kFloat:
      return f(static_cast<float*>(nullptr));
    case at::kDouble:
      return f(static_cast<double*>(nullptr));
    case at::kBFloat16:
      return f(static_cast<Bfloat16Bits*>(nullptr));
    default:
      fail("batch norm: {} is not supported, use float32, float64 or bfloat16", c10::toString(x.scalar_type()));
  }
}

/// Channels-last, and begins where packs may.
at::Tensor laid_out(const at::Tensor& x) {
  const at::Tensor y = x.contiguous(at::MemoryFormat::ChannelsLast);
  return reinterpret_cast<std::uintptr_t>(y.const_data_ptr()) % 16 == 0 ? y : y.clone();
}

NormGrid grid_of(const at::Tensor& x) {
  xtasc::check(x.is_cuda() || x.is_cpu(), "batch norm: no elements on {}", x.device().str());
  return norm_grid(x.size(0) * x.size(2) * x.size(3), x.size(1));
}

template <typename T>
const T* pointer(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<const T*>(tensor.const_data_ptr()) : nullptr;
}

std::int64_t bytes_of(std::initializer_list<at::Tensor> tensors) {
  std::size_t bytes = 0;
  for (const at::Tensor& tensor : tensors) {
    bytes += tensor.defined() ? tensor.nbytes() : 0;
  }
  return static_cast<std::int64_t>(bytes);
}

/// What is not read may be undefined.
struct Inputs {
  at::Tensor grad_y, x, scale, shift;

  template <typename T>
  [[nodiscard]] NormInput<T> as() const {
    return {pointer<T>(grad_y), pointer<T>(x), pointer<Real<T>>(scale), pointer<Real<T>>(shift)};
  }
};

Inputs inputs_of(const at::Tensor& grad_y, const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift) {
  return {laid_out(grad_y), laid_out(x), scale.contiguous(), shift.contiguous()};
}

ChannelSums sums(const Inputs& in, SumOf of) {
  const NormGrid grid = grid_of(in.x);
  const auto options = in.x.options().dtype(at::kDouble);
  const at::Tensor partial = at::empty({grid.slices, 2, grid.channels}, options);
  const at::Tensor total = at::empty({2, grid.channels}, options);
  auto* by_slice = partial.mutable_data_ptr<double>();
  auto* in_all = total.mutable_data_ptr<double>();
  { const KernelMark slices("batch norm: sums of slices"); }
  const KernelMark mark("batch norm: sums", bytes_of({in.x, in.grad_y}));
  with_type(in.x, [&]<typename T>(T* /*type*/) {
#ifdef XTASC_WITH_CUDA
    if (in.x.is_cuda()) {
      norm_sums_on_cuda(in.as<T>(), of, grid, by_slice, in_all, current_stream());
      return;
    }
#endif
    grid.pack == kNormPack ? sum_on_cpu<T, kNormPack>(in.as<T>(), of, grid, by_slice, in_all)
                           : sum_on_cpu<T, 1>(in.as<T>(), of, grid, by_slice, in_all);
  });
  return {total[0], total[1]};
}

}  // namespace

ChannelSums sums_of_x(const at::Tensor& x) {
  return sums({{}, laid_out(x), {}, {}}, SumOf::x);
}

ChannelSums sums_of_gradient(const at::Tensor& grad_y, const at::Tensor& x, const at::Tensor& scale,
                             const at::Tensor& shift, bool relu) {
  return sums(inputs_of(grad_y, x, scale, shift), relu ? SumOf::gated_gradient : SumOf::gradient);
}

at::Tensor scale_shift(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift, bool relu) {
  const Inputs in = {{}, laid_out(x), scale.contiguous(), shift.contiguous()};
  const NormGrid grid = grid_of(in.x);
  const at::Tensor y = at::empty_like(in.x);
  const KernelMark mark("batch norm: scale and shift", bytes_of({in.x, y}));
  with_type(in.x, [&]<typename T>(T* /*type*/) {
    auto* out = static_cast<T*>(y.mutable_data_ptr());
#ifdef XTASC_WITH_CUDA
    if (y.is_cuda()) {
      scale_shift_on_cuda(in.as<T>(), relu, grid, out, current_stream());
      return;
    }
#endif
    const bool packed = grid.pack == kNormPack;
    const auto run = packed ? (relu ? scale_shift_on_cpu<T, kNormPack, true> : scale_shift_on_cpu<T, kNormPack, false>)
                            : (relu ? scale_shift_on_cpu<T, 1, true> : scale_shift_on_cpu<T, 1, false>);
    run(in.as<T>(), grid, out);
  });
  return y;
}

at::Tensor gradient_of_x(const at::Tensor& grad_y, const at::Tensor& x, const at::Tensor& scale,
                         const at::Tensor& shift, bool relu, const at::Tensor& a, const at::Tensor& b,
                         const at::Tensor& c) {
  const Inputs in = inputs_of(grad_y, x, scale, shift);
  const NormGrid grid = grid_of(in.x);
  const at::Tensor grad_x = at::empty_like(in.x);
  const at::Tensor abc[] = {a.contiguous(), b.contiguous(), c.contiguous()};
  const KernelMark mark("batch norm: gradient", bytes_of({in.grad_y, in.x, grad_x}));
  with_type(in.x, [&]<typename T>(T* /*type*/) {
    auto* out = static_cast<T*>(grad_x.mutable_data_ptr());
    const NormFactors<T> factors = {pointer<Real<T>>(abc[0]), pointer<Real<T>>(abc[1]), pointer<Real<T>>(abc[2])};
#ifdef XTASC_WITH_CUDA
    if (grad_x.is_cuda()) {
      gradient_of_x_on_cuda(in.as<T>(), factors, relu, grid, out, current_stream());
      return;
    }
#endif
    const bool packed = grid.pack == kNormPack;
    const auto run = packed ? (relu ? gradient_on_cpu<T, kNormPack, true> : gradient_on_cpu<T, kNormPack, false>)
                            : (relu ? gradient_on_cpu<T, 1, true> : gradient_on_cpu<T, 1, false>);
    run(in.as<T>(), factors, grid, out);
  });
  return grad_x;
}

}  // namespace xtasc::model::by_elements
