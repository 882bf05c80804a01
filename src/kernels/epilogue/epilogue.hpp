#pragma once

#include <ATen/core/Tensor.h>

/// What follows a convolution, in as few passes over memory as there can be: bias and ReLU in one, the max-pool behind
/// them in the same, backward the sum for the bias's gradient in the pass that writes the gradient; and a norm's
/// product with the residual and ReLU behind it in one. CUDA's forms, by epilogue_element.hpp's functions on any device
/// with memory; on the meta device shapes only. Tensors are (N, C, H, W), float32, float64 or bfloat16; z,
/// channels-last, is the convolution without its bias, and biases and their gradients are (C) float32, or float64 when
/// z is. Nothing waits for the device.
namespace xtasc::kernels {

/// z := max(0, z + bias). \returns  where the ReLU lets through, for gradient_behind_relu(), if it is asked for: a byte
/// for four channels, or for each where they are no multiple of four; else undefined
at::Tensor add_bias_and_relu(const at::Tensor& z, const at::Tensor& bias, bool wants_gate);

/// Max-pool of max(0, z + bias), 2 x 2 at stride 2, which is never written down.
struct Pooled {
  at::Tensor y;     ///< (N, C, H / 2, W / 2)
  at::Tensor from;  ///< uint8, as y: which corner of the window, or none where the ReLU is shut
};
/// \param z  H and W even
[[nodiscard]] Pooled add_bias_relu_and_pool(const at::Tensor& z, const at::Tensor& bias);

/// The gradient of z behind add_bias_and_relu(), which returned `gate`. \param grad_bias  the bias's is added to it
[[nodiscard]] at::Tensor gradient_behind_relu(const at::Tensor& grad_y, const at::Tensor& gate,
                                              const at::Tensor& grad_bias);

/// The gradient of z, (N, C, 2 * H, 2 * W), behind add_bias_relu_and_pool().
[[nodiscard]] at::Tensor gradient_behind_pool(const at::Tensor& grad_y, const at::Tensor& from,
                                              const at::Tensor& grad_bias);

/// max(0, x * scale + shift + added): batch norm with the residual behind it. \param scale, shift  (C), as biases
[[nodiscard]] at::Tensor scale_shift_add_and_relu(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift,
                                                  const at::Tensor& added);

}  // namespace xtasc::kernels
