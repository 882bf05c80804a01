// Not run on a GPU yet: compiled for every architecture on every build. What a thread does is batch_norm_element.hpp's,
// which the CPU's tests run.
#include "core/cuda_launch.cuh"
#include "kernels/batch_norm/batch_norm_block.cuh"
#include "kernels/batch_norm/batch_norm_cuda.hpp"

namespace xtasc::kernels {

namespace {

/// Blocks that a multiprocessor's registers shall hold at least. With these nvcc 13 reads all rows of a batch before it
/// computes and spills nothing; without, sums read in turns and gradients take twice the registers.
constexpr int kResidentSums = 2;
template <typename T>
constexpr int kResidentGradients = sizeof(T) < sizeof(double) ? 3 : 1;

template <typename T, int kPack, SumOf kOf>
__global__ void __launch_bounds__(kNormThreads, kResidentSums)
    norm_sums_kernel(NormInput<T> in, NormGrid grid, double* partial) {
  sum_in_block<kPack>(grid, partial, [&](const NormPart& part, double(&sums)[2 * kPack]) {
    add_part<T, kPack, kOf>(in, grid, part, sums);
  });
}

template <typename Finish>
__global__ void __launch_bounds__(kNormThreads)
    norm_slices_kernel(const double* partial, NormGrid grid, Finish finish) {
  __shared__ NormShared<2> shared;
  const std::int64_t channel = std::int64_t{blockIdx.x} * kNormColumns + threadIdx.x % kNormColumns;
  const auto thread = static_cast<std::int32_t>(threadIdx.x);
  shared[0][thread] = sum_of_slices(partial, grid, channel, thread);
  shared[1][thread] = sum_of_slices(partial + grid.channels, grid, channel, thread);
  add_up<2>(shared, kNormColumns);
  if (thread < kNormColumns && channel < grid.channels) {
    finish(channel, shared[0][thread], shared[1][thread]);
  }
}

template <typename Finish>
__global__ void __launch_bounds__(kNormThreads)
    norm_channels_kernel(const double* sums, std::int64_t channels, Finish finish) {
  const std::int64_t channel = std::int64_t{blockIdx.x} * kNormThreads + threadIdx.x;
  if (channel < channels) {
    finish(channel, sums[channel], sums[channels + channel]);
  }
}

template <typename T, int kPack, bool kRelu>
__global__ void __launch_bounds__(kNormThreads) norm_scale_shift_kernel(NormInput<T> in, NormGrid grid, T* y) {
  write_scaled_and_shifted<T, kPack, kRelu>(in, grid, part_of_thread(grid), y);
}

template <typename T, int kPack, bool kRelu>
__global__ void __launch_bounds__(kNormThreads, kResidentGradients<T>)
    norm_gradient_kernel(NormInput<T> in, NormFactors<T> factors, NormGrid grid, T* grad_x) {
  write_gradient<T, kPack, kRelu>(in, factors, grid, part_of_thread(grid), grad_x);
}

template <typename T, int kPack>
void start_sums(const NormInput<T>& in, SumOf of, const NormGrid& grid, double* partial, cudaStream_t stream) {
  const auto start = [&](auto* kernel) { kernel<<<blocks_of(grid), kNormThreads, 0, stream>>>(in, grid, partial); };
  switch (of) {
    case SumOf::x:
      return start(norm_sums_kernel<T, kPack, SumOf::x>);
    case SumOf::gradient:
      return start(norm_sums_kernel<T, kPack, SumOf::gradient>);
    case SumOf::gated_gradient:
      return start(norm_sums_kernel<T, kPack, SumOf::gated_gradient>);
  }
}

template <typename T, int kPack>
void start_scale_shift(const NormInput<T>& in, bool relu, const NormGrid& grid, T* y, cudaStream_t stream) {
  const auto kernel = relu ? norm_scale_shift_kernel<T, kPack, true> : norm_scale_shift_kernel<T, kPack, false>;
  kernel<<<blocks_of(grid), kNormThreads, 0, stream>>>(in, grid, y);
}

template <typename T, int kPack>
void start_gradient(const NormInput<T>& in, const NormFactors<T>& factors, bool relu, const NormGrid& grid, T* grad_x,
                    cudaStream_t stream) {
  const auto kernel = relu ? norm_gradient_kernel<T, kPack, true> : norm_gradient_kernel<T, kPack, false>;
  kernel<<<blocks_of(grid), kNormThreads, 0, stream>>>(in, factors, grid, grad_x);
}

}  // namespace

template <typename T>
void norm_sums_on_cuda(const NormInput<T>& in, SumOf of, const NormGrid& grid, double* partial, void* stream) {
  auto* on_stream = static_cast<cudaStream_t>(stream);
  grid.pack == kNormPack ? start_sums<T, kNormPack>(in, of, grid, partial, on_stream)
                         : start_sums<T, 1>(in, of, grid, partial, on_stream);
  check_launch("batch norm's sums kernel");
}

template <typename Finish>
void finish_slices_on_cuda(const double* partial, const NormGrid& grid, const Finish& finish, void* stream) {
  const auto blocks = static_cast<unsigned>((grid.channels + kNormColumns - 1) / kNormColumns);
  norm_slices_kernel<<<blocks, kNormThreads, 0, static_cast<cudaStream_t>(stream)>>>(partial, grid, finish);
  check_launch("batch norm's slices kernel");
}

template <typename Finish>
void finish_channels_on_cuda(const double* sums, std::int64_t channels, const Finish& finish, void* stream) {
  const auto blocks = static_cast<unsigned>((channels + kNormThreads - 1) / kNormThreads);
  norm_channels_kernel<<<blocks, kNormThreads, 0, static_cast<cudaStream_t>(stream)>>>(sums, channels, finish);
  check_launch("batch norm's channels kernel");
}

template <typename T>
void scale_shift_on_cuda(const NormInput<T>& in, bool relu, const NormGrid& grid, T* y, void* stream) {
  auto* on_stream = static_cast<cudaStream_t>(stream);
  grid.pack == kNormPack ? start_scale_shift<T, kNormPack>(in, relu, grid, y, on_stream)
                         : start_scale_shift<T, 1>(in, relu, grid, y, on_stream);
  check_launch("batch norm's scale and shift kernel");
}

template <typename T>
void gradient_of_x_on_cuda(const NormInput<T>& in, const NormFactors<T>& factors, bool relu, const NormGrid& grid,
                           T* grad_x, void* stream) {
  auto* on_stream = static_cast<cudaStream_t>(stream);
  grid.pack == kNormPack ? start_gradient<T, kNormPack>(in, factors, relu, grid, grad_x, on_stream)
                         : start_gradient<T, 1>(in, factors, relu, grid, grad_x, on_stream);
  check_launch("batch norm's gradient kernel");
}

#include "kernels/batch_norm/batch_norm_instances.inc"

}  // namespace xtasc::kernels
