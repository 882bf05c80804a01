#include "kernels/upsample/upsample.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <limits>

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "kernels/kernel_memory.hpp"
#include "kernels/upsample/upsample_cuda.hpp"
#include "kernels/upsample/upsample_element.hpp"

namespace xtasc::kernels {

namespace {

enum class Direction { forward, gradient };

/// Calls f with the place of every thread of the grid.
template <typename F>
void for_places(const UpsampleGrid& grid, std::int32_t images, const F& f) {
  for (std::int32_t image = 0; image < images; ++image) {
    for (std::int32_t row = 0; row < grid.rows; ++row) {
      for (std::int32_t column = 0; column < grid.column_blocks * grid.columns; ++column) {
        for (std::int32_t lane = 0; lane < grid.lanes; ++lane) {
          f(UpsamplePlace{image, row, column, lane, grid.lanes});
        }
      }
    }
  }
}

template <typename T, int kPack>
void run_on_cpu(const UpsampleWork<T>& work, const UpsampleGrid& grid, Direction direction) {
  for_places(grid, work.images, [&](const UpsamplePlace& at) {
    direction == Direction::forward ? upsample_pixel<T, kPack>(work, at) : upsample_gradient_pixel<T, kPack>(work, at);
  });
}

template <typename T>
void run(const UpsampleWork<T>& work, const UpsampleGrid& grid, Direction direction, at::Device device) {
  if (device.is_cuda()) {
    direction == Direction::forward ? upsample_on_cuda(work, grid, current_stream())
                                    : upsample_gradient_on_cuda(work, grid, current_stream());
    return;
  }
  xtasc::check(device.is_cpu(), "upsample: no elements on {}", device.str());
  grid.pack > 1 ? run_on_cpu<T, kChannelsPerPack<T>>(work, grid, direction) : run_on_cpu<T, 1>(work, grid, direction);
}

/// The large map: as many channels of a channels-last tensor as the small one has, from `first` on.
struct Large {
  at::Tensor of;
  std::int64_t first = 0;
};

/// Offsets within a row are computed in 32 bits, and CUDA starts at most 65535 blocks in the directions of rows and
/// images.
void check_size(const at::Tensor& small, const at::Tensor& large) {
  constexpr std::int64_t kMostBlocks = 65535;
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  xtasc::check(small.size(0) <= kMostBlocks && large.size(2) <= kMostBlocks && large.size(0) * large.size(2) <= kMost &&
                   large.size(1) * large.size(3) <= kMost,
               "upsample: {} images of {} channels, {} x {}, are too many or too large", large.size(0), large.size(1),
               large.size(2), large.size(3));
}

template <typename T>
bool allows_packs(const UpsampleWork<T>& work) {
  const auto begins_pack = [](const T* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; };
  return work.channels % kChannelsPerPack<T> == 0 && work.large_stride % kChannelsPerPack<T> == 0 &&
         begins_pack(work.in) && begins_pack(work.out);
}

template <typename T>
void transform(const at::Tensor& small, const Large& large, Direction direction) {
  const bool is_forward = direction == Direction::forward;
  const at::Tensor& in = is_forward ? small : large.of;
  const at::Tensor& out = is_forward ? large.of : small;
  const auto rows = static_cast<std::int32_t>(small.size(2));
  const auto columns = static_cast<std::int32_t>(small.size(3));
  const UpsampleWork<T> work = {.in = static_cast<const T*>(in.const_data_ptr()) + (is_forward ? 0 : large.first),
                                .out = static_cast<T*>(out.mutable_data_ptr()) + (is_forward ? large.first : 0),
                                .images = static_cast<std::int32_t>(small.size(0)),
                                .channels = static_cast<std::int32_t>(small.size(1)),
                                .large_stride = static_cast<std::int32_t>(large.of.size(1)),
                                .rows = upsample_axis<Real<T>>(rows),
                                .columns = upsample_axis<Real<T>>(columns)};
  const std::int32_t pack = allows_packs(work) ? kChannelsPerPack<T> : 1;
  const std::int32_t factor = is_forward ? 2 : 1;
  const KernelMark mark(is_forward ? "upsample: forward" : "upsample: gradient",
                        static_cast<std::int64_t>(5 * small.nbytes()));
  run(work, upsample_grid(work.channels, pack, factor * rows, factor * columns), direction, in.device());
}

/// Both channels-last; one is read and the other written. Nothing to do where there is no memory.
void transform(const at::Tensor& small, const Large& large, Direction direction) {
  if (small.numel() == 0 || small.is_meta()) {
    return;
  }
  check_size(small, large.of);
  switch (small.scalar_type()) {
    case at::kFloat:
      return transform<float>(small, large, direction);
    case at::kDouble:
      return transform<double>(small, large, direction);
    case at::kBFloat16:
      return transform<Bfloat16Bits>(small, large, direction);
    default:
      fail("upsample: {} is not supported, use float32, float64 or bfloat16", c10::toString(small.scalar_type()));
  }
}

at::Tensor channels_last(const at::Tensor& x_nchw) {
  return x_nchw.contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor empty(const at::Tensor& like, std::int64_t channels, std::int64_t height, std::int64_t width) {
  return at::empty({like.size(0), channels, height, width}, like.options().requires_grad(false),
                   at::MemoryFormat::ChannelsLast);
}

at::Tensor gradient(const Large& grad_y, std::int64_t channels) {
  const at::Tensor grad_x = empty(grad_y.of, channels, grad_y.of.size(2) / 2, grad_y.of.size(3) / 2);
  transform(grad_x, grad_y, Direction::gradient);
  return grad_x;
}

struct UpsampleByElements : torch::autograd::Function<UpsampleByElements> {
  static at::Tensor forward(torch::autograd::AutogradContext* /*context*/, const at::Tensor& x_nchw) {
    const at::Tensor y = empty(x_nchw, x_nchw.size(1), 2 * x_nchw.size(2), 2 * x_nchw.size(3));
    transform(channels_last(x_nchw), {y}, Direction::forward);
    return y;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* /*context*/,
                                                 const torch::autograd::variable_list& gradients) {
    return {gradient({channels_last(gradients[0])}, gradients[0].size(1))};
  }
};

struct UpsampleJoined : torch::autograd::Function<UpsampleJoined> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& low_nchw,
                            const at::Tensor& beside_nchw) {
    const std::int64_t channels = low_nchw.size(1);
    const bool both_low = is_low(beside_nchw, low_nchw);
    const at::Tensor y = empty(low_nchw, channels + beside_nchw.size(1), 2 * low_nchw.size(2), 2 * low_nchw.size(3));
    transform(channels_last(low_nchw), {y}, Direction::forward);
    if (both_low) {
      transform(channels_last(beside_nchw), {y, channels}, Direction::forward);
    } else {
      y.narrow(1, channels, beside_nchw.size(1)).copy_(beside_nchw);
    }
    context->saved_data["channels"] = channels;
    context->saved_data["both_low"] = both_low;
    return y;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const at::Tensor grad_y = channels_last(gradients[0]);
    const std::int64_t channels = context->saved_data["channels"].toInt();
    const std::int64_t others = grad_y.size(1) - channels;
    return {gradient({grad_y}, channels), context->saved_data["both_low"].toBool()
                                              ? gradient({grad_y, channels}, others)
                                              : grad_y.narrow(1, channels, others)};
  }

 private:
  static bool is_low(const at::Tensor& beside, const at::Tensor& low) {
    const bool is_low = beside.size(2) == low.size(2) && beside.size(3) == low.size(3);
    xtasc::check(beside.size(0) == low.size(0) && beside.scalar_type() == low.scalar_type() &&
                     (is_low || (beside.size(2) == 2 * low.size(2) && beside.size(3) == 2 * low.size(3))),
                 "upsample: {} of {} is neither of the size of {} of {} nor of twice that", c10::str(beside.sizes()),
                 c10::toString(beside.scalar_type()), c10::str(low.sizes()), c10::toString(low.scalar_type()));
    return is_low;
  }
};

/// (large, small): which share of each small pixel a large one has.
at::Tensor interpolation(std::int64_t large, std::int64_t small, const at::TensorOptions& options) {
  const double scale = large > 1 ? static_cast<double>(small - 1) / static_cast<double>(large - 1) : 0.0;
  const at::Tensor places = at::arange(large, options.dtype(at::kDouble)).mul_(scale).unsqueeze(1);
  const at::Tensor distances = (places - at::arange(small, options.dtype(at::kDouble))).abs_();
  return (1.0 - distances).clamp_min_(0.0).to(c10::typeMetaToScalarType(options.dtype()));
}

}  // namespace

at::Tensor upsample_to(const at::Tensor& x_nchw, std::int64_t height, std::int64_t width) {
  if (!upsamples_by_elements(x_nchw)) {
    return at::upsample_bilinear2d(x_nchw, {height, width}, /*align_corners=*/true);
  }
  const CauseMark mark("upsample");
  const at::TensorOptions options = x_nchw.options().requires_grad(false);
  const at::Tensor rows = interpolation(height, x_nchw.size(2), options);
  const at::Tensor columns = interpolation(width, x_nchw.size(3), options);
  return channels_last(at::matmul(at::matmul(rows, x_nchw.contiguous()), columns.t()));
}

bool upsamples_by_elements(const at::Tensor& x) {
  return takes_cuda_form(x) || x.is_meta();
}

at::Tensor upsample_twice(const at::Tensor& x_nchw) {
  if (upsamples_by_elements(x_nchw)) {
    return upsample_by_elements(x_nchw);
  }
  return at::upsample_bilinear2d(x_nchw, {2 * x_nchw.size(2), 2 * x_nchw.size(3)}, /*align_corners=*/true);
}

at::Tensor upsample_by_elements(const at::Tensor& x_nchw) {
  return UpsampleByElements::apply(x_nchw);
}

at::Tensor upsample_joined(const at::Tensor& low_nchw, const at::Tensor& beside_nchw) {
  return UpsampleJoined::apply(low_nchw, beside_nchw);
}

}  // namespace xtasc::kernels
