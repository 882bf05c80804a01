// Not run on a GPU yet: compiled for every architecture on every build. What a thread does is epilogue_element.hpp's,
// which the CPU's tests run.
#include "core/cuda_launch.cuh"
#include "kernels/batch_norm/batch_norm_block.cuh"
#include "kernels/epilogue/epilogue_cuda.hpp"

namespace xtasc::kernels {

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

#include "kernels/epilogue/epilogue_instances.inc"

}  // namespace xtasc::kernels
