#pragma once

/// Before a function that the CPU and, by nvcc, the GPU run: its arithmetic is then tested where no GPU is.
#ifdef __CUDACC__
#define XTASC_HOST_DEVICE __host__ __device__
#else
#define XTASC_HOST_DEVICE
#endif

/// Before a loop that mostly runs once: nvcc would write its body down several times.
#ifdef __CUDA_ARCH__
#define XTASC_ROLLED _Pragma("unroll 1")
#else
#define XTASC_ROLLED
#endif
