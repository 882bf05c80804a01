#pragma once

#include <cstdint>
#include <cstring>
#ifdef __CUDACC__
#include <cuda_bf16.h>
#endif

#include "core/host_device.hpp"
#include "kernels/element.hpp"

namespace xtasc::kernels {

/// As many channels as 16 bytes hold.
template <typename T>
constexpr int kChannelsPerPack = static_cast<int>(16 / sizeof(T));

/// Channels of one pixel that lie side by side, as what is computed in. They are read and written by one access, so the
/// first must lie at a multiple of their bytes.
template <typename T, int kPack>
struct ChannelPack {
  static_assert(kPack * sizeof(T) <= 16);
  Real<T> values[kPack] = {};

  XTASC_INLINE XTASC_HOST_DEVICE static ChannelPack load(const T* p) {
    const Stored stored = *reinterpret_cast<const Stored*>(p);
    ChannelPack pack;
    for (int k = 0; k < kPack; ++k) {
      pack.values[k] = load_element(stored.elements + k);
    }
    return pack;
  }
  XTASC_INLINE XTASC_HOST_DEVICE void store(T* p) const {
    Stored stored;
    for (int k = 0; k < kPack; ++k) {
      store_element(stored.elements + k, values[k]);
    }
    *reinterpret_cast<Stored*>(p) = stored;
  }

 private:
  struct alignas(kPack * sizeof(T)) Stored {
    T elements[kPack];
  };
};

/// Two bfloat16 as they lie in 32 bits of memory, the first in the lower half: one instruction each to read, and on a
/// GPU one to round both, where store_element() takes six for each.
XTASC_INLINE XTASC_HOST_DEVICE float float_of_bits(std::uint32_t bits) {
  float value = 0.0F;
  memcpy(&value, &bits, sizeof(value));
  return value;
}
XTASC_INLINE XTASC_HOST_DEVICE std::uint32_t bfloat16_pair(float low, float high) {
#ifdef __CUDA_ARCH__
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  std::uint32_t bits = 0;
  memcpy(&bits, &pair, sizeof(bits));
  return bits;
#else
  Bfloat16Bits pair[2];
  store_element(pair, low);
  store_element(pair + 1, high);
  return pair[0].bits | static_cast<std::uint32_t>(pair[1].bits) << 16;
#endif
}

template <>
struct ChannelPack<Bfloat16Bits, 8> {
  float values[8] = {};

  XTASC_INLINE XTASC_HOST_DEVICE static ChannelPack load(const Bfloat16Bits* p) {
    const Stored stored = *reinterpret_cast<const Stored*>(p);
    ChannelPack pack;
    for (int k = 0; k < 4; ++k) {
      pack.values[2 * k] = float_of_bits(stored.pairs[k] << 16);
      pack.values[2 * k + 1] = float_of_bits(stored.pairs[k] & 0xffff0000U);
    }
    return pack;
  }
  XTASC_INLINE XTASC_HOST_DEVICE void store(Bfloat16Bits* p) const {
    Stored stored;
    for (int k = 0; k < 4; ++k) {
      stored.pairs[k] = bfloat16_pair(values[2 * k], values[2 * k + 1]);
    }
    *reinterpret_cast<Stored*>(p) = stored;
  }

 private:
  struct alignas(16) [[gnu::may_alias]] Stored {
    std::uint32_t pairs[4];
  };
};

}  // namespace xtasc::kernels
