#include "kernels/dropout/dropout.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/ranges.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/error.hpp"
#include "kernels/cpu_loops.hpp"

namespace xtasc::kernels {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
constexpr std::int64_t kValuesOfThread = 16384;  ///< that are worth one
constexpr std::uint32_t kStep = 0x9e3779b9U, kFactors[] = {0x7feb352dU, 0x846ca68bU};
constexpr std::int64_t kDrawBits = 24;

/// Values of one image.
template <typename T>
struct Dropping {
  const T* in;
  T* out;
  std::uint32_t a, b, threshold;
  Real<T> factor;
};

XTASC_INLINE std::uint32_t mix(std::uint32_t z) {
  z = (z ^ (z >> 16)) * kFactors[0];
  z = (z ^ (z >> 15)) * kFactors[1];
  return z ^ (z >> 16);
}

template <typename T>
XTASC_INLINE void drop_of(const Dropping<T>& work, std::uint32_t begin, std::uint32_t end) {
  for (std::uint32_t k = begin; k < end; ++k) {
    const bool is_kept = mix(mix(k * kStep + work.a) ^ work.b) >= work.threshold;
    const Real<T> value = load_element(work.in + k) * work.factor;
    store_element(work.out + k, is_kept ? value : Real<T>{0});
  }
}
XTASC_MULTIVERSION void drop(const Dropping<float>& work, std::uint32_t begin, std::uint32_t end) {
  drop_of(work, begin, end);
}
XTASC_MULTIVERSION void drop(const Dropping<double>& work, std::uint32_t begin, std::uint32_t end) {
  drop_of(work, begin, end);
}
XTASC_MULTIVERSION void drop(const Dropping<Bfloat16Bits>& work, std::uint32_t begin, std::uint32_t end) {
  drop_of(work, begin, end);
}

std::int64_t threshold_of(double share) {
  return static_cast<std::int64_t>(share * 4294967296.0);
}

at::Tensor keys_of(const at::Tensor& draws_n2) {
  return (draws_n2 * static_cast<double>(std::int64_t{1} << kDrawBits)).to(at::kLong);
}

/// mix() in 64 bits, of which the lower half counts.
at::Tensor mixed(at::Tensor z) {
  constexpr std::int64_t kLower = 0xffffffffLL;
  z = (z ^ z.bitwise_right_shift(16)).mul_(std::int64_t{kFactors[0]}).bitwise_and_(kLower);
  z = (z ^ z.bitwise_right_shift(15)).mul_(std::int64_t{kFactors[1]}).bitwise_and_(kLower);
  return z ^ z.bitwise_right_shift(16);
}

at::Tensor dropped_by_aten(const at::Tensor& x, const at::Tensor& keys_n2, double share) {
  constexpr std::int64_t kLower = 0xffffffffLL;
  const std::int64_t values = x.size(1) * x.size(2) * x.size(3);
  const at::Tensor steps = at::arange(values, keys_n2.options()).mul_(std::int64_t{kStep});
  const at::Tensor first = mixed((steps + keys_n2.narrow(1, 0, 1)).bitwise_and_(kLower));
  const at::Tensor is_kept = mixed(first ^ keys_n2.narrow(1, 1, 1)) >= threshold_of(share);
  const at::Tensor is_kept_nchw = is_kept.view({x.size(0), x.size(2), x.size(3), x.size(1)}).permute({0, 3, 1, 2});
  return at::where(is_kept_nchw, x * (1.0 / (1.0 - share)), at::zeros({}, x.options()));
}

at::Tensor dropped(const at::Tensor& x_nchw, const at::Tensor& draws_n2, double share) {
  const at::Tensor x = x_nchw.contiguous(kChannelsLast);
  const at::Tensor keys = keys_of(draws_n2);
  if (!takes_loops(x)) {
    return dropped_by_aten(x, keys, share).contiguous(kChannelsLast);
  }
  at::Tensor y = at::empty_like(x);
  const std::int64_t values = x.size(1) * x.size(2) * x.size(3);
  const auto* key = keys.const_data_ptr<std::int64_t>();
  with_element_type(x, "dropout", [&]<typename T>(T* /*type*/) {
    for (std::int64_t image = 0; image < x.size(0); ++image) {
      const Dropping<T> work = {.in = data_of<T>(x) + image * values,
                                .out = data_of<T>(y) + image * values,
                                .a = static_cast<std::uint32_t>(key[2 * image]),
                                .b = static_cast<std::uint32_t>(key[2 * image + 1]),
                                .threshold = static_cast<std::uint32_t>(threshold_of(share)),
                                .factor = static_cast<Real<T>>(1.0 / (1.0 - share))};
      at::parallel_for(0, values, kValuesOfThread, [&work](std::int64_t begin, std::int64_t end) {
        drop(work, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end));
      });
    }
  });
  return y;
}

class DropFunction : public torch::autograd::Function<DropFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_nchw, const at::Tensor& draws_n2,
                            double share) {
    context->save_for_backward({draws_n2});
    context->saved_data["share"] = share;
    return dropped(x_nchw, draws_n2, share);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor draws = context->get_saved_variables().front();
    return {dropped(gradients[0], draws, context->saved_data["share"].toDouble()), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor drop_values(const at::Tensor& x_nchw, const at::Tensor& draws_n2, double share) {
  check(x_nchw.dim() == 4 && draws_n2.dim() == 2 && draws_n2.size(0) == x_nchw.size(0) && draws_n2.size(1) == 2,
        "dropout: draws {} for maps of {}, wanted are two an image", fmt::join(draws_n2.sizes(), " x "),
        fmt::join(x_nchw.sizes(), " x "));
  check(x_nchw.size(1) * x_nchw.size(2) * x_nchw.size(3) < (std::int64_t{1} << 32), "dropout: maps of {} are too large",
        fmt::join(x_nchw.sizes(), " x "));
  check(share >= 0.0 && share < 1.0, "dropout: a share of {}, wanted is one in [0, 1)", share);
  return DropFunction::apply(x_nchw, draws_n2, share);
}

at::Tensor element_uniforms(std::int64_t first, std::int64_t count, std::uint64_t key, at::Device device) {
  constexpr std::int64_t kLower = 0xffffffffLL;
  constexpr double kRange = 4294967296.0;
  check(first >= 0 && count >= 0 && first + count <= kLower, "numbers {} to {} are no 32 bits", first, first + count);
  const at::Tensor numbers = at::arange(first, first + count, at::TensorOptions().dtype(at::kLong).device(device));
  const auto lower = static_cast<std::int64_t>(key & 0xffffffffU);
  const auto upper = static_cast<std::int64_t>(key >> 32U);
  const at::Tensor begun = mixed(numbers.mul_(std::int64_t{kStep}).add_(lower).bitwise_and_(kLower));
  return mixed(begun ^ upper).to(at::kDouble) / kRange;
}

}  // namespace xtasc::kernels
