// Not run on a GPU yet: compiled for every architecture on every build. What a thread does is epilogue_element.hpp's,
// which the CPU's tests run.
#include "core/cuda_launch.cuh"
#include "model/batch_norm_block.cuh"
#include "model/epilogue_cuda.hpp"

namespace xtasc::model {

namespace {

template <typename Work>
__global__ void __launch_bounds__(kNormThreads) epilogue_kernel(Work work, NormGrid grid) {
  work(grid, part_of_thread(grid));
}

template <typename Work>
__global__ void __launch_bounds__(kNormThreads) epilogue_gradient_kernel(Work work, NormGrid grid, double* partial) {
  const auto work_of_thread = [&](const NormPart& part, double(&sums)[2 * Work::kChannels]) { work(grid, part, sums); };
  sum_in_block<Work::kChannels>(grid, partial, work_of_thread);
}

}  // namespace

template <typename Work>
void run_epilogue_on_cuda(const Work& work, const NormGrid& grid, void* stream) {
  epilogue_kernel<<<blocks_of(grid), kNormThreads, 0, static_cast<cudaStream_t>(stream)>>>(work, grid);
  check_launch("the kernel behind a convolution");
}

template <typename Work>
void run_epilogue_gradient_on_cuda(const Work& work, const NormGrid& grid, double* partial, void* stream) {
  epilogue_gradient_kernel<<<blocks_of(grid), kNormThreads, 0, static_cast<cudaStream_t>(stream)>>>(work, grid,
                                                                                                    partial);
  check_launch("the kernel of the gradient behind a convolution");
}

#define XTASC_FORWARD(...) template void run_epilogue_on_cuda(const __VA_ARGS__&, const NormGrid&, void*);
#define XTASC_GRADIENT(...) \
  template void run_epilogue_gradient_on_cuda(const __VA_ARGS__&, const NormGrid&, double*, void*);
#define XTASC_FOR_PACK(T, PACK)                \
  XTASC_FORWARD(AddBiasAndRelu<T, PACK>)       \
  XTASC_FORWARD(AddBiasReluAndPool<T, PACK>)   \
  XTASC_FORWARD(ScaleShiftAddAndRelu<T, PACK>) \
  XTASC_GRADIENT(GradientBehindRelu<T, PACK>)  \
  XTASC_GRADIENT(GradientBehindPool<T, PACK>)
#define XTASC_FOR_TYPE(T) \
  XTASC_FOR_PACK(T, 1)    \
  XTASC_FOR_PACK(T, kNormPack)
XTASC_FOR_TYPE(float)
XTASC_FOR_TYPE(double)
XTASC_FOR_TYPE(Bfloat16Bits)
#undef XTASC_FOR_TYPE
#undef XTASC_FOR_PACK
#undef XTASC_GRADIENT
#undef XTASC_FORWARD

}  // namespace xtasc::model
