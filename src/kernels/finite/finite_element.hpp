#pragma once

#include <cstdint>
#include <cstring>

#include "core/host_device.hpp"

namespace xtasc::kernels {

/// The bits of a number without its sign. They grow with its size; infinity's are kInfinityBits, NaN's are larger.
XTASC_HOST_DEVICE inline std::uint32_t magnitude_bits(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits & 0x7FFF'FFFFU;
}
XTASC_HOST_DEVICE inline std::uint64_t magnitude_bits(double value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits & 0x7FFF'FFFF'FFFF'FFFFULL;
}

template <typename T>
struct InfinityBits;
template <>
struct InfinityBits<float> {
  static constexpr std::uint32_t value = 0x7F80'0000U;
};
template <>
struct InfinityBits<double> {
  static constexpr std::uint64_t value = 0x7FF0'0000'0000'0000ULL;
};

/// What FiniteCheck keeps on the device, in this order.
enum FiniteState : int {
  kIsBad,     ///< 1 when a number of the step under way was not finite
  kNumSteps,  ///< steps that ended
  kFirstBad,  ///< the first of them with such a number, from 0; -1: none
  kFiniteStateSize,
};

XTASC_HOST_DEVICE inline void end_finite_step(std::int64_t* state) {
  if (state[kIsBad] != 0 && state[kFirstBad] < 0) {
    state[kFirstBad] = state[kNumSteps];
  }
  state[kIsBad] = 0;
  ++state[kNumSteps];
}

}  // namespace xtasc::kernels
