#pragma once

#include "kernels/batch_norm/batch_norm_element.hpp"

/// A block of a NormGrid on the GPU; batch_norm_loops.hpp is the same on the CPU, with the same order of sums.

namespace xtasc::kernels {

inline dim3 blocks_of(const NormGrid& grid) {
  return {static_cast<unsigned>(grid.tiles), static_cast<unsigned>(grid.slices)};
}

__device__ inline NormPart part_of_thread(const NormGrid& grid) {
  return norm_part(grid, blockIdx.x, blockIdx.y, static_cast<std::int32_t>(threadIdx.x));
}

/// Down to the block's first `remaining` threads.
template <int kNum>
__device__ void add_up(NormShared<kNum>& shared, std::int32_t remaining) {
  for (std::int32_t half = kNormThreads / 2; half >= remaining; half /= 2) {
    __syncthreads();
    add_upper_half<kNum>(shared, static_cast<std::int32_t>(threadIdx.x), half);
  }
}

/// Writes the sums of work(part, sums) of the block's threads. No atomics: each block writes those of its slice of
/// rows.
template <int kPack, typename Work>
__device__ void sum_in_block(const NormGrid& grid, double* partial, const Work& work) {
  __shared__ NormShared<2 * kPack> shared;
  const NormPart part = part_of_thread(grid);
  double sums[2 * kPack] = {};
  work(part, sums);
  for (int i = 0; i < 2 * kPack; ++i) {
    shared[i][threadIdx.x] = sums[i];
  }
  add_up<2 * kPack>(shared, grid.lanes);
  write_block_sums<kPack>(shared, grid, part, blockIdx.y, static_cast<std::int32_t>(threadIdx.x), partial);
}

}  // namespace xtasc::kernels
