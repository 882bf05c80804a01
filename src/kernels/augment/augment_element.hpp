#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.hpp"

/// The per-element functions of augmentation: compiled for the CPU and, by nvcc, for the GPU, so that the CPU's tests
/// run the very code that a GPU would.

namespace xtasc::kernels {

/// What a sample has for the tasks, bit by bit.
enum Truth : std::uint32_t { kLabelTruth = 1, kDepthTruth = 2, kNormalsTruth = 4 };

/// One output sample: which stored sample, which window of it, mirrored or not, and what of its truth is hidden.
struct SampleView {
  std::int64_t index;
  std::int32_t window_y, window_x, window_height, window_width;
  float depth_factor;  ///< from stored to target: depth_scale, divided by the crop's scale for metric depth
  std::int32_t flip;
  std::uint32_t hidden = 0;  ///< of Truth: what comes out as if it were unknown
};

/// Stored samples of one size, and how the image is normalised.
struct SampleStore {
  const std::uint8_t* image;    ///< (N, H, W, 3)
  const std::uint8_t* label;    ///< (N, H, W)
  const void* depth;            ///< (N, H, W) uint16 or float32
  const std::int16_t* normals;  ///< (N, H, W, 3), vectors of one length, 0 where unknown; null: there are none
  bool depth_is_uint16;
  std::int32_t height, width;
  float mean[3], inverse_std[3];
};

/// Memory that a batch is written to, on the device of the store.
struct BatchMemory {
  float* image;         ///< (n, H, W, 3): a channels-last (n, 3, H, W)
  std::int64_t* label;  ///< (n, H, W)
  float* depth;         ///< (n, H, W)
  float* normals;       ///< (n, H, W, 3): a channels-last (n, 3, H, W); null where the store has none
};

/// Source column of output column x, before the window is resized.
XTASC_HOST_DEVICE inline std::int32_t mirrored(const SampleView& view, std::int32_t width, std::int32_t x) {
  return view.flip != 0 ? width - 1 - x : x;
}

/// Index of a stored pixel, (y, x) counted in the window.
XTASC_HOST_DEVICE inline std::int64_t pixel_in_window(const SampleStore& store, const SampleView& view, std::int32_t y,
                                                      std::int32_t x) {
  return (view.index * store.height + view.window_y + y) * store.width + view.window_x + x;
}

/// The stored pixel that labels and depth of output (y, x) come from: nearest, at floor(i * window / size), as
/// PyTorch's `interpolate(mode="nearest")`.
XTASC_HOST_DEVICE inline std::int64_t nearest_pixel(const SampleStore& store, const SampleView& view, std::int32_t y,
                                                    std::int32_t x) {
  const std::int32_t column = mirrored(view, store.width, x);
  return pixel_in_window(
      store, view, static_cast<std::int32_t>(static_cast<std::int64_t>(y) * view.window_height / store.height),
      static_cast<std::int32_t>(static_cast<std::int64_t>(column) * view.window_width / store.width));
}

/// Where an output coordinate lies between two source ones, corners aligned.
struct Between {
  std::int32_t low, high;
  float weight_high;
};
XTASC_HOST_DEVICE inline Between between(std::int32_t i, std::int32_t window, std::int32_t size) {
  const float position = static_cast<float>(i) * (static_cast<float>(window - 1) / static_cast<float>(size - 1));
  const auto low = static_cast<std::int32_t>(position);
  return {low, low + 1 < window ? low + 1 : low, position - static_cast<float>(low)};
}

/// Channel c of the normalised image at output (y, x), bilinear with corners aligned.
XTASC_HOST_DEVICE inline float image_element(const SampleStore& store, const SampleView& view, std::int32_t y,
                                             std::int32_t x, std::int32_t c) {
  const Between row = between(y, view.window_height, store.height);
  const Between column = between(mirrored(view, store.width, x), view.window_width, store.width);
  const float low_low = store.image[pixel_in_window(store, view, row.low, column.low) * 3 + c];
  const float low_high = store.image[pixel_in_window(store, view, row.low, column.high) * 3 + c];
  const float high_low = store.image[pixel_in_window(store, view, row.high, column.low) * 3 + c];
  const float high_high = store.image[pixel_in_window(store, view, row.high, column.high) * 3 + c];
  const float upper = low_low + column.weight_high * (low_high - low_low);
  const float lower = high_low + column.weight_high * (high_high - high_low);
  const float value = (upper + row.weight_high * (lower - upper)) / 255.0F;
  return (value - store.mean[c]) * store.inverse_std[c];
}

XTASC_HOST_DEVICE inline std::int64_t label_element(const SampleStore& store, const SampleView& view, std::int32_t y,
                                                    std::int32_t x) {
  constexpr std::int64_t kIgnored = 255;
  return (view.hidden & kLabelTruth) != 0 ? kIgnored : store.label[nearest_pixel(store, view, y, x)];
}

XTASC_HOST_DEVICE inline float depth_element(const SampleStore& store, const SampleView& view, std::int32_t y,
                                             std::int32_t x) {
  if ((view.hidden & kDepthTruth) != 0) {
    return 0.0F;
  }
  const std::int64_t pixel = nearest_pixel(store, view, y, x);
  const float stored = store.depth_is_uint16 ? static_cast<float>(static_cast<const std::uint16_t*>(store.depth)[pixel])
                                             : static_cast<const float*>(store.depth)[pixel];
  return stored * view.depth_factor;
}

/// The unit vector at output (y, x), mirrored with the image; 0 where unknown. A window that is made larger leaves
/// directions alone.
XTASC_HOST_DEVICE inline void write_normal(const SampleStore& store, const SampleView& view, std::int32_t y,
                                           std::int32_t x, float* out) {
  const std::int16_t* stored = store.normals + nearest_pixel(store, view, y, x) * 3;
  const float nx = stored[0];
  const float ny = stored[1];
  const float nz = stored[2];
  const float square = nx * nx + ny * ny + nz * nz;
  const bool is_known = square > 0.0F && (view.hidden & kNormalsTruth) == 0;
  const float factor = is_known ? 1.0F / std::sqrt(square) : 0.0F;
  out[0] = view.flip != 0 ? -nx * factor : nx * factor;
  out[1] = ny * factor;
  out[2] = nz * factor;
}

/// All of output pixel (y, x), the `pixel`-th of the batch.
XTASC_HOST_DEVICE inline void write_pixel(const SampleStore& store, const SampleView& view, std::int32_t y,
                                          std::int32_t x, std::int64_t pixel, const BatchMemory& out) {
  for (std::int32_t c = 0; c < 3; ++c) {
    out.image[pixel * 3 + c] = image_element(store, view, y, x, c);
  }
  out.label[pixel] = label_element(store, view, y, x);
  out.depth[pixel] = depth_element(store, view, y, x);
  if (out.normals != nullptr) {
    write_normal(store, view, y, x, out.normals + pixel * 3);
  }
}

}  // namespace xtasc::kernels
