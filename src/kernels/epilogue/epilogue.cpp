#include "kernels/epilogue/epilogue.hpp"

#include <ATen/ATen.h>

#include <limits>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "kernels/batch_norm/batch_norm_channel.hpp"
#include "kernels/batch_norm/batch_norm_cuda.hpp"
#include "kernels/batch_norm/batch_norm_loops.hpp"
#include "kernels/batch_norm/batch_norm_training.hpp"
#include "kernels/epilogue/epilogue_cuda.hpp"
#include "kernels/epilogue/epilogue_element.hpp"
#include "kernels/kernel_memory.hpp"

namespace xtasc::kernels {

namespace {

at::Tensor empty_channels_last(const at::Tensor& like, std::int64_t height, std::int64_t width, at::ScalarType type) {
  return at::empty({like.size(0), like.size(1), height, width}, like.options().requires_grad(false).dtype(type),
                   at::MemoryFormat::ChannelsLast);
}

template <typename T>
T* writable(const at::Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

/// Rows of a grid are the pixels, or windows, of x.
NormGrid grid_of(const at::Tensor& x) {
  xtasc::check(x.is_cuda() || x.is_cpu(), "behind a convolution: no elements on {}", x.device().str());
  return norm_grid(x.size(0) * x.size(2) * x.size(3), x.size(1));
}

/// \param y  what the pool gives
PoolWindows windows_of(const at::Tensor& y) {
  xtasc::check(y.size(0) * y.size(2) * y.size(3) <= std::numeric_limits<std::int32_t>::max(),
               "max-pool: {} images, {} x {}, are too many or too large", y.size(0), y.size(2), y.size(3));
  return {static_cast<std::uint32_t>(2 * y.size(3))};
}

template <typename Work>
void run(const Work& work, const NormGrid& grid, bool is_on_cuda) {
  if (is_on_cuda) {
    run_epilogue_on_cuda(work, grid, current_stream());
    return;
  }
  for_parts(grid, [&](const NormPart& part) { work(grid, part); });
}

/// Two launches: the work, with its blocks' sums, and the sum of those, which is added to grad_bias.
template <typename Work>
void run_gradient(const Work& work, const NormGrid& grid, const at::Tensor& grad_bias, std::int64_t bytes) {
  using T = typename Work::Element;
  const at::Tensor partial = at::empty({grid.slices, 2, grid.channels}, grad_bias.options().dtype(at::kDouble));
  auto* by_slice = partial.mutable_data_ptr<double>();
  const AddBiasGradient<Real<T>> finish = {norm_pointer<Real<T>>(grad_bias)};
  { const KernelMark slices("bias: slices"); }
  const KernelMark mark("bias: gradient", bytes);
  if (grad_bias.is_cuda()) {
    run_epilogue_gradient_on_cuda(work, grid, by_slice, current_stream());
    finish_slices_on_cuda(by_slice, grid, finish, current_stream());
    return;
  }
  sum_blocks<Work::kChannels>(
      grid, by_slice, [&](const NormPart& part, double(&sums)[2 * Work::kChannels]) { work(grid, part, sums); });
  finish_slices(by_slice, grid, finish);
}

void check_bias(const at::Tensor& of_bias, const at::Tensor& z) {
  xtasc::check(of_bias.scalar_type() == norm_real_type(z) && of_bias.numel() == z.size(1) && of_bias.is_contiguous(),
               "behind a convolution: {} numbers of {} for a bias, activations are {} in {} channels", of_bias.numel(),
               c10::toString(of_bias.scalar_type()), c10::toString(z.scalar_type()), z.size(1));
}

/// Calls f with the type of x's elements and the channels of a pack.
template <typename F>
void with_pack(const at::Tensor& x, const NormGrid& grid, const F& f) {
  with_norm_type(x, [&]<typename T>(T* /*type*/) {
    grid.pack == kNormPack ? f.template operator()<T, kNormPack>() : f.template operator()<T, 1>();
  });
}

}  // namespace

at::Tensor add_bias_and_relu(const at::Tensor& z, const at::Tensor& bias, bool wants_gate) {
  check_bias(bias, z);
  const std::int64_t pack = z.size(1) % kNormPack == 0 ? kNormPack : 1;
  const at::Tensor gate =
      wants_gate ? at::empty({z.numel() / pack}, z.options().requires_grad(false).dtype(at::kByte)) : at::Tensor();
  if (z.is_meta() || z.numel() == 0) {
    return gate;
  }
  const at::Tensor x = laid_out(z);
  const NormGrid grid = grid_of(x);
  const KernelMark mark("bias: added, with ReLU", bytes_of({x, x, gate}));
  with_pack(x, grid, [&]<typename T, int kPack>() {
    auto* open = gate.defined() ? writable<std::uint8_t>(gate) : nullptr;
    run(AddBiasAndRelu<T, kPack>{writable<T>(x), pointer_to<Real<T>>(bias), open}, grid, x.is_cuda());
  });
  if (!x.is_same(z)) {
    z.copy_(x);
  }
  return gate;
}

Pooled add_bias_relu_and_pool(const at::Tensor& z, const at::Tensor& bias) {
  check_bias(bias, z);
  xtasc::check(z.size(2) % 2 == 0 && z.size(3) % 2 == 0, "max-pool: {} x {} pixels are not whole windows of 2 x 2",
               z.size(2), z.size(3));
  const Pooled pooled = {empty_channels_last(z, z.size(2) / 2, z.size(3) / 2, z.scalar_type()),
                         empty_channels_last(z, z.size(2) / 2, z.size(3) / 2, at::kByte)};
  if (z.is_meta() || z.numel() == 0) {
    return pooled;
  }
  const at::Tensor x = laid_out(z);
  const NormGrid grid = grid_of(pooled.y);
  const KernelMark mark("bias: added, with ReLU and max-pool", bytes_of({x, pooled.y, pooled.from}));
  with_pack(x, grid, [&]<typename T, int kPack>() {
    run(AddBiasReluAndPool<T, kPack>{pointer_to<T>(x), pointer_to<Real<T>>(bias), windows_of(pooled.y),
                                     writable<T>(pooled.y), writable<std::uint8_t>(pooled.from)},
        grid, x.is_cuda());
  });
  return pooled;
}

at::Tensor gradient_behind_relu(const at::Tensor& grad_y, const at::Tensor& gate, const at::Tensor& grad_bias) {
  check_bias(grad_bias, grad_y);
  const at::Tensor grad_z = empty_channels_last(grad_y, grad_y.size(2), grad_y.size(3), grad_y.scalar_type());
  if (grad_y.is_meta() || grad_y.numel() == 0) {
    return grad_z;
  }
  const at::Tensor g = laid_out(grad_y);
  const NormGrid grid = grid_of(g);
  xtasc::check(gate.numel() * grid.pack == g.numel(), "behind a ReLU: a gate of {} bytes for {} elements", gate.numel(),
               g.numel());
  with_pack(g, grid, [&]<typename T, int kPack>() {
    run_gradient(GradientBehindRelu<T, kPack>{pointer_to<T>(g), pointer_to<std::uint8_t>(gate), writable<T>(grad_z)},
                 grid, grad_bias, bytes_of({g, gate, grad_z}));
  });
  return grad_z;
}

at::Tensor gradient_behind_pool(const at::Tensor& grad_y, const at::Tensor& from, const at::Tensor& grad_bias) {
  check_bias(grad_bias, grad_y);
  const at::Tensor grad_z = empty_channels_last(grad_y, 2 * grad_y.size(2), 2 * grad_y.size(3), grad_y.scalar_type());
  if (grad_y.is_meta() || grad_y.numel() == 0) {
    return grad_z;
  }
  const at::Tensor g = laid_out(grad_y);
  const NormGrid grid = grid_of(g);
  with_pack(g, grid, [&]<typename T, int kPack>() {
    run_gradient(GradientBehindPool<T, kPack>{pointer_to<T>(g), pointer_to<std::uint8_t>(from), windows_of(g),
                                              writable<T>(grad_z)},
                 grid, grad_bias, bytes_of({g, from, grad_z}));
  });
  return grad_z;
}

at::Tensor scale_shift_add_and_relu(const at::Tensor& x_nchw, const at::Tensor& scale, const at::Tensor& shift,
                                    const at::Tensor& added_nchw) {
  check_bias(scale, x_nchw);
  check_bias(shift, x_nchw);
  xtasc::check(added_nchw.sizes() == x_nchw.sizes() && added_nchw.scalar_type() == x_nchw.scalar_type(),
               "a residual of another shape or type");
  const at::Tensor y = empty_channels_last(x_nchw, x_nchw.size(2), x_nchw.size(3), x_nchw.scalar_type());
  if (x_nchw.is_meta() || x_nchw.numel() == 0) {
    return y;
  }
  const at::Tensor x = laid_out(x_nchw), added = laid_out(added_nchw);
  const NormGrid grid = grid_of(x);
  const KernelMark mark("batch norm: scale and shift, with residual", bytes_of({x, added, y}));
  with_pack(x, grid, [&]<typename T, int kPack>() {
    run(ScaleShiftAddAndRelu<T, kPack>{pointer_to<T>(x), pointer_to<Real<T>>(scale), pointer_to<Real<T>>(shift),
                                       pointer_to<T>(added), writable<T>(y)},
        grid, x.is_cuda());
  });
  return y;
}

}  // namespace xtasc::kernels
