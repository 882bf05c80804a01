#pragma once

#include <cstdint>
#include <cstring>

#include "core/host_device.hpp"
#include "core/multiversion.hpp"

/// Numbers as kernels of the CPU and the GPU find them in memory.

namespace xtasc::kernels {

/// The upper half of a float32.
struct Bfloat16Bits {
  std::uint16_t bits;
};

XTASC_INLINE XTASC_HOST_DEVICE float load_element(const float* p) {
  return *p;
}
XTASC_INLINE XTASC_HOST_DEVICE double load_element(const double* p) {
  return *p;
}
XTASC_INLINE XTASC_HOST_DEVICE float load_element(const Bfloat16Bits* p) {
  const std::uint32_t bits = static_cast<std::uint32_t>(p->bits) << 16;
  float value = 0.0F;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

XTASC_INLINE XTASC_HOST_DEVICE void store_element(float* p, float value) {
  *p = value;
}
XTASC_INLINE XTASC_HOST_DEVICE void store_element(double* p, double value) {
  *p = value;
}
/// To the nearest, ties to even, as PyTorch does; NaN stays NaN.
XTASC_INLINE XTASC_HOST_DEVICE void store_element(Bfloat16Bits* p, float value) {
  std::uint32_t bits = 0;
  memcpy(&bits, &value, sizeof(bits));
  const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  p->bits = static_cast<std::uint16_t>(value != value ? 0x7fc0U : rounded);
}

/// What is computed in: float for float and bfloat16.
template <typename T>
struct Sum {
  using Type = float;
};
template <>
struct Sum<double> {
  using Type = double;
};
template <typename T>
using Real = typename Sum<T>::Type;

}  // namespace xtasc::kernels
