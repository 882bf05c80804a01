// Not run on a GPU yet: compiled for every architecture on every build. The arithmetic is fused_losses_element.hpp's,
// which the CPU's tests run.
#include "core/cuda_launch.cuh"
#include "kernels/losses/fused_losses_cuda.hpp"

namespace xtasc::kernels {

namespace {

constexpr int kThreads = 128;

/// Of a block that adds up so many sums: six for two tasks with both their transfers, 6 KiB.
constexpr std::size_t shared_bytes(std::int32_t num_sums) {
  return sizeof(double) * kThreads * static_cast<std::size_t>(num_sums);
}
static_assert(kMaxFusedSums <= kThreads, "a thread writes at most one sum of a row");
static_assert(shared_bytes(kMaxFusedSums) <= 48 * 1024, "more must be asked for by cudaFuncSetAttribute");
static_assert(sizeof(FusedInputs<double>) + sizeof(FusedGradients<double>) <= 2048, "4 KiB hold a kernel's arguments");

/// One block a row: threads add up every 128th pixel, then halves are added to halves, always in this order.
template <typename T>
__global__ void fused_losses_kernel(FusedInputs<T> in, double* row_sums) {
  extern __shared__ double parts[];  // (kThreads, num_sums)
  const std::int32_t num_sums = in.num_sums();
  double* mine = parts + threadIdx.x * num_sums;
  for (std::int64_t row = blockIdx.x; row < in.num_rows; row += gridDim.x) {
    for (std::int32_t i = 0; i < num_sums; ++i) {
      mine[i] = 0.0;
    }
    for (std::int32_t x = threadIdx.x; x < in.width; x += kThreads) {
      add_pixel_losses(in, row * in.width + x, mine);
    }
    for (unsigned half = kThreads / 2; half > 0; half /= 2) {
      __syncthreads();
      if (threadIdx.x < half) {
        for (std::int32_t i = 0; i < num_sums; ++i) {
          mine[i] += mine[half * num_sums + i];
        }
      }
    }
    __syncthreads();
    if (threadIdx.x < num_sums) {
      row_sums[row * num_sums + threadIdx.x] = parts[threadIdx.x];
    }
    __syncthreads();
  }
}

template <typename T>
__global__ void fused_gradients_kernel(FusedInputs<T> in, const T* factors, std::int64_t pixels_per_image,
                                       FusedGradients<T> out) {
  const std::int64_t num_pixels = in.num_rows * in.width;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < num_pixels; i += stride) {
    write_pixel_gradients(in, i, factors + in.num_terms * (i / pixels_per_image), out);
  }
}

}  // namespace

template <typename T>
void fused_losses_on_cuda(const FusedInputs<T>& in, double* row_sums, void* stream) {
  if (in.num_rows > 0) {
    fused_losses_kernel<<<blocks_for(in.num_rows * kThreads, kThreads), kThreads, shared_bytes(in.num_sums()),
                          static_cast<cudaStream_t>(stream)>>>(in, row_sums);
    check_launch("fused losses kernel");
  }
}

template <typename T>
void fused_gradients_on_cuda(const FusedInputs<T>& in, const T* factors, std::int64_t height,
                             const FusedGradients<T>& out, void* stream) {
  const std::int64_t num_pixels = in.num_rows * in.width;
  if (num_pixels > 0) {
    fused_gradients_kernel<<<blocks_for(num_pixels, kThreads), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
        in, factors, height * in.width, out);
    check_launch("fused gradients kernel");
  }
}

#include "kernels/losses/fused_losses_instances.inc"

}  // namespace xtasc::kernels
