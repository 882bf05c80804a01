#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/convolution.hpp"

/// The form of a convolution on CUDA: cuDNN's product in between as few launches as there can be. Not run on a GPU yet;
/// the CPU's tests run it by element functions (CudaForms).
namespace xtasc::kernels {

/// How they compute.
struct FusedOptions {
  at::ScalarType compute = at::kFloat;  ///< type of activations and of the weights that products see
  bool pads_channels = false;           ///< products have channels up to the next multiple of eight
  /// All parameters in `compute`, each where its own storage has it; undefined: each convolution casts its own.
  at::Tensor flat_weights = {};
  bool gradients_in_place = false;  ///< backward adds those of weight and bias where they lie
};

/// A convolution of x. Forward is the product, and one pass for bias and ReLU where both are there, whose gradient is
/// one pass too, with the sum for the bias in it. \param x_nchw  (N, in, H, W), channels-last
[[nodiscard]] at::Tensor convolve_fused(const at::Tensor& x_nchw, const Convolution& convolution,
                                        const FusedOptions& options, Activation activation);

/// The same with ReLU and a max-pool of 2 x 2 at stride 2 behind it, whose input is never written down. The convolution
/// has a bias, and what it gives an even height and width.
[[nodiscard]] at::Tensor convolve_fused_and_pool(const at::Tensor& x_nchw, const Convolution& convolution,
                                                 const FusedOptions& options);

/// The parameter as convolutions of this step read it: its part of flat_weights, or cast by itself where there are
/// none.
[[nodiscard]] at::Tensor in_compute_type(const at::Tensor& parameter, const FusedOptions& options);

}  // namespace xtasc::kernels
