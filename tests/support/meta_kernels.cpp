// Shape functions for the operators of a training step that ATen's C++ has none for on the meta device (Python
// registers them when it imports torch). Only shapes and types: nothing here could make a hidden copy to the host
// succeed.
#include <ATen/ATen.h>
#include <ATen/ExpandUtils.h>
#include <ATen/native/ConvUtils.h>
#include <torch/library.h>

#include <array>
#include <tuple>
#include <vector>

namespace {

/// One number stands for both directions.
std::vector<std::int64_t> both(c10::SymIntArrayRef values) {
  const auto numbers = C10_AS_INTARRAYREF_SLOW(values);
  return numbers.size() == 1 ? std::vector<std::int64_t>{numbers[0], numbers[0]} : numbers.vec();
}

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& /*bias*/,
                       c10::SymIntArrayRef stride, c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation,
                       bool /*transposed*/, c10::SymIntArrayRef /*output_padding*/, c10::SymInt /*groups*/) {
  const auto size =
      at::native::conv_output_size(input.sizes(), weight.sizes(), both(padding), both(stride), both(dilation));
  return at::empty(size, input.options(), at::MemoryFormat::ChannelsLast);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(
    const at::Tensor& grad_output, const at::Tensor& input, const at::Tensor& weight,
    at::OptionalSymIntArrayRef bias_sizes, c10::SymIntArrayRef /*stride*/, c10::SymIntArrayRef /*padding*/,
    c10::SymIntArrayRef /*dilation*/, bool /*transposed*/, c10::SymIntArrayRef /*output_padding*/,
    c10::SymInt /*groups*/, std::array<bool, 3> mask) {
  return {mask[0] ? at::empty_like(input) : at::Tensor(), mask[1] ? at::empty_like(weight) : at::Tensor(),
          mask[2] && bias_sizes ? at::empty({weight.size(0)}, grad_output.options()) : at::Tensor()};
}

at::Tensor relu(const at::Tensor& x) {
  return at::empty_like(x);
}

at::Tensor& relu_in_place(at::Tensor& x) {
  return x;
}

at::Tensor where(const at::Tensor& condition, const at::Tensor& self, const at::Tensor& other) {
  const auto size = at::infer_size(at::infer_size(condition.sizes(), self.sizes()), other.sizes());
  return at::empty(size, self.options().dtype(at::result_type(self, other)));
}

at::Tensor& abs_out(const at::Tensor& self, at::Tensor& out) {
  out.resize_(self.sizes());
  return out;
}

at::Tensor& logical_and_out(const at::Tensor& self, const at::Tensor& other, at::Tensor& out) {
  out.resize_(at::infer_size(self.sizes(), other.sizes()));
  return out;
}

at::Tensor dot(const at::Tensor& self, const at::Tensor& /*other*/) {
  return at::empty({}, self.options());
}

at::Tensor index_select(const at::Tensor& self, std::int64_t dim, const at::Tensor& index) {
  std::vector<std::int64_t> size = self.sizes().vec();
  size[static_cast<std::size_t>(dim)] = index.numel();
  return at::empty(size, self.options());
}

/// AdamW's, too.
void fused_adam(at::TensorList /*self*/, at::TensorList /*grads*/, at::TensorList /*exp_avgs*/,
                at::TensorList /*exp_avg_sqs*/, at::TensorList /*max_exp_avg_sqs*/, at::TensorList /*state_steps*/,
                const at::Tensor& /*lr*/, double /*beta1*/, double /*beta2*/, double /*weight_decay*/, double /*eps*/,
                bool /*amsgrad*/, bool /*maximize*/, const std::optional<at::Tensor>& /*grad_scale*/,
                const std::optional<at::Tensor>& /*found_inf*/) {}

void fused_sgd(at::TensorList /*self*/, at::TensorList /*grads*/, at::TensorList /*momentum_buffer_list*/,
               double /*weight_decay*/, double /*momentum*/, const at::Tensor& /*lr*/, double /*dampening*/,
               bool /*nesterov*/, bool /*maximize*/, bool /*is_first_step*/,
               const std::optional<at::Tensor>& /*grad_scale*/, const std::optional<at::Tensor>& /*found_inf*/) {}

}  // namespace

TORCH_LIBRARY_IMPL(aten, Meta, library) {
  library.impl("relu", relu);
  library.impl("relu_", relu_in_place);
  library.impl("where.self", where);
  library.impl("abs.out", abs_out);
  library.impl("dot", dot);
  library.impl("index_select", index_select);
  library.impl("logical_and.out", logical_and_out);
  library.impl("convolution", convolution);
  library.impl("convolution_backward", convolution_backward);
  library.impl("_fused_adam_.tensor_lr", fused_adam);
  library.impl("_fused_adamw_.tensor_lr", fused_adam);
  library.impl("_fused_sgd_.tensor_lr", fused_sgd);
}
