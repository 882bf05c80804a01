#pragma once

#include "kernels/batch_norm/batch_norm_element.hpp"

/// The blocks and threads of a NormGrid, one after another on the CPU: what batch_norm_block.cuh is on the GPU, with
/// the same order of sums.

namespace xtasc::kernels {

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

/// Calls f with the part of every thread of the grid.
template <typename F>
void for_parts(const NormGrid& grid, const F& f) {
  for_blocks(grid, [&](std::int64_t tile, std::int64_t slice) {
    for_threads([&](std::int32_t thread) { f(norm_part(grid, tile, slice, thread)); });
  });
}

template <int kNum>
void add_up(NormShared<kNum>& shared, std::int32_t remaining) {
  for (std::int32_t half = kNormThreads / 2; half >= remaining; half /= 2) {
    for_threads([&](std::int32_t thread) { add_upper_half<kNum>(shared, thread, half); });
  }
}

/// Writes each block's sums of work(part, sums) to partial, (slices, 2, C).
template <int kPack, typename Work>
void sum_blocks(const NormGrid& grid, double* partial, const Work& work) {
  for_blocks(grid, [&](std::int64_t tile, std::int64_t slice) {
    NormShared<2 * kPack> shared;
    for_threads([&](std::int32_t thread) {
      double sums[2 * kPack] = {};
      work(norm_part(grid, tile, slice, thread), sums);
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

/// Adds the blocks' sums up and calls finish(channel, sum, second sum).
template <typename Finish>
void finish_slices(const double* partial, const NormGrid& grid, const Finish& finish) {
  for (std::int64_t first = 0; first < grid.channels; first += kNormColumns) {
    NormShared<2> shared;
    for_threads([&](std::int32_t thread) {
      const std::int64_t channel = first + thread % kNormColumns;
      shared[0][thread] = sum_of_slices(partial, grid, channel, thread);
      shared[1][thread] = sum_of_slices(partial + grid.channels, grid, channel, thread);
    });
    add_up<2>(shared, kNormColumns);
    for (std::int32_t i = 0; i < kNormColumns && first + i < grid.channels; ++i) {
      finish(first + i, shared[0][i], shared[1][i]);
    }
  }
}

}  // namespace xtasc::kernels
