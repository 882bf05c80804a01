#include "model/upsample.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#ifdef XTASC_WITH_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

#include "core/cuda_forms.hpp"
#include "core/error.hpp"
#include "model/upsample_element.hpp"
#ifdef XTASC_WITH_CUDA
#include "model/upsample_kernels.hpp"
#endif

namespace xtasc::model {

namespace {

enum class Direction { forward, gradient };

template <typename T>
void run_on_cpu(const T* in, T* out, const UpsampleShape& s, Direction direction) {
  const std::int32_t factor = direction == Direction::forward ? 2 : 1;
  for (std::int64_t n = 0; n < s.num_images; ++n) {
    for (std::int32_t y = 0; y < factor * s.height; ++y) {
      for (std::int32_t x = 0; x < factor * s.width; ++x) {
        for (std::int64_t c = 0; c < s.channels; ++c, ++out) {
          store_element(out, direction == Direction::forward ? upsampled_element(in, s, n, y, x, c)
                                                             : upsample_gradient_element(in, s, n, y, x, c));
        }
      }
    }
  }
}

template <typename T>
void run(const at::Tensor& in, const at::Tensor& out, const UpsampleShape& shape, Direction direction) {
  const KernelMark mark(direction == Direction::forward ? "upsample: forward" : "upsample: gradient",
                        static_cast<std::int64_t>(in.nbytes() + out.nbytes()));
  const auto* from = static_cast<const T*>(in.const_data_ptr());
  auto* to = static_cast<T*>(out.mutable_data_ptr());
#ifdef XTASC_WITH_CUDA
  if (in.is_cuda()) {
    void* stream = c10::cuda::getCurrentCUDAStream().stream();
    if (direction == Direction::forward) {
      upsample_on_cuda(from, to, shape, stream);
    } else {
      upsample_gradient_on_cuda(from, to, shape, stream);
    }
    return;
  }
#endif
  xtasc::check(in.is_cpu(), "upsample: no elements on {}", in.device().str());
  run_on_cpu(from, to, shape, direction);
}

at::Tensor transform(const at::Tensor& in_nchw, Direction direction) {
  const at::Tensor in = in_nchw.contiguous(at::MemoryFormat::ChannelsLast);
  const bool is_forward = direction == Direction::forward;
  const std::int64_t height = is_forward ? in.size(2) : in.size(2) / 2;
  const std::int64_t width = is_forward ? in.size(3) : in.size(3) / 2;
  const at::Tensor out =
      at::empty({in.size(0), in.size(1), is_forward ? 2 * height : height, is_forward ? 2 * width : width},
                in.options(), at::MemoryFormat::ChannelsLast);
  const UpsampleShape shape = {in.size(0), in.size(1), static_cast<std::int32_t>(height),
                               static_cast<std::int32_t>(width)};
  switch (in.scalar_type()) {
    case at::kFloat:
      run<float>(in, out, shape, direction);
      break;
    case at::kDouble:
      run<double>(in, out, shape, direction);
      break;
    case at::kBFloat16:
      run<Bfloat16Bits>(in, out, shape, direction);
      break;
    default:
      fail("upsample: {} is not supported, use float32, float64 or bfloat16", c10::toString(in.scalar_type()));
  }
  return out;
}

struct UpsampleByElements : torch::autograd::Function<UpsampleByElements> {
  static at::Tensor forward(torch::autograd::AutogradContext* /*context*/, const at::Tensor& x_nchw) {
    return transform(x_nchw, Direction::forward);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* /*context*/,
                                                 const torch::autograd::variable_list& gradients) {
    return {transform(gradients[0], Direction::gradient)};
  }
};

}  // namespace

at::Tensor upsample_twice(const at::Tensor& x_nchw) {
  if (takes_cuda_form(x_nchw)) {
    return upsample_by_elements(x_nchw);
  }
  return at::upsample_bilinear2d(x_nchw, {2 * x_nchw.size(2), 2 * x_nchw.size(3)}, /*align_corners=*/true);
}

at::Tensor upsample_by_elements(const at::Tensor& x_nchw) {
  return UpsampleByElements::apply(x_nchw);
}

}  // namespace xtasc::model
