#include "kernels/gate/gate.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/ranges.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

#include "core/error.hpp"
#include "kernels/cpu_loops.hpp"

namespace xtasc::kernels {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kLayout = at::MemoryFormat::ChannelsLast;
constexpr std::int64_t kGrain = 16384;  ///< elements that are worth a thread

template <typename T>
struct GateGradients {
  const T *grad, *gate, *attended;
  T *grad_x, *grad_attended;
};

template <typename T>
XTASC_INLINE void gate_backward_of(const GateGradients<T>& at, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const Real<T> grad = load_element(at.grad + i);
    const Real<T> gate = load_element(at.gate + i);
    store_element(at.grad_x + i, grad * load_element(at.attended + i) * gate * (1 - gate));
    store_element(at.grad_attended + i, grad * gate);
  }
}
XTASC_MULTIVERSION void gate_backward(const GateGradients<float>& at, std::int64_t begin, std::int64_t end) {
  gate_backward_of(at, begin, end);
}
XTASC_MULTIVERSION void gate_backward(const GateGradients<double>& at, std::int64_t begin, std::int64_t end) {
  gate_backward_of(at, begin, end);
}
XTASC_MULTIVERSION void gate_backward(const GateGradients<Bfloat16Bits>& at, std::int64_t begin, std::int64_t end) {
  gate_backward_of(at, begin, end);
}

class GateFunction : public torch::autograd::Function<GateFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& attended) {
    const at::Tensor gate = x.detach().sigmoid_();
    context->save_for_backward({gate, attended});
    return gate * attended;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor gate = saved[0].contiguous(kLayout);
    const at::Tensor attended = saved[1].contiguous(kLayout);
    const at::Tensor grad = gradients[0].contiguous(kLayout);
    if (!takes_loops(grad)) {
      return {grad * attended * gate * (1 - gate), grad * gate};
    }
    const at::Tensor grad_x = at::empty_like(gate);
    const at::Tensor grad_attended = at::empty_like(gate);
    with_element_type(grad, "gate", [&]<typename T>(T* /*type*/) {
      const GateGradients<T> work = {data_of<T>(grad), data_of<T>(gate), data_of<T>(attended), data_of<T>(grad_x),
                                     data_of<T>(grad_attended)};
      at::parallel_for(0, grad.numel(), kGrain,
                       [&](std::int64_t begin, std::int64_t end) { gate_backward(work, begin, end); });
    });
    return {grad_x, grad_attended};
  }
};

/// All maps channels-last: a pixel's channels lie side by side, of the joined map both halves'.
template <typename T>
struct JoinMaps {
  std::int64_t images, pixels, channels;
  bool has_one_set;         ///< of factors, for all images
  const T *first, *second;  ///< second: behind its sigmoid
  const Real<T>* factors;
  const Real<T>* kept;  ///< null: all 1
  T* joined;            ///< backward: its gradient, which is read
  T *grad_first, *grad_second;
  Real<T>* grad_factors;

  [[nodiscard]] XTASC_INLINE const Real<T>* factors_of(std::int64_t image, std::int64_t pixel) const {
    return factors + ((has_one_set ? 0 : image * pixels) + pixel) * channels;
  }
};

template <typename T>
XTASC_INLINE void join_of(const JoinMaps<T>& maps, std::int64_t begin, std::int64_t end) {
  const std::int64_t channels = maps.channels;
  for (std::int64_t pixel = begin; pixel < end; ++pixel) {
    for (std::int64_t image = 0; image < maps.images; ++image) {
      const std::int64_t at = (image * maps.pixels + pixel) * channels;
      const Real<T>* factors = maps.factors_of(image, pixel);
      const Real<T>* kept = maps.kept == nullptr ? nullptr : maps.kept + image * 2 * channels;
      for (std::int64_t c = 0; c < channels; ++c) {
        const Real<T> second = load_element(maps.second + at + c);
        const Real<T> attended = factors[c] * load_element(maps.first + at + c) * second;
        store_element(maps.joined + 2 * at + c, kept == nullptr ? second : kept[c] * second);
        store_element(maps.joined + 2 * at + channels + c, kept == nullptr ? attended : kept[channels + c] * attended);
      }
    }
  }
}

template <typename T>
XTASC_INLINE void join_backward_of(const JoinMaps<T>& maps, std::int64_t begin, std::int64_t end) {
  const std::int64_t channels = maps.channels;
  for (std::int64_t pixel = begin; pixel < end; ++pixel) {
    for (std::int64_t image = 0; image < maps.images; ++image) {
      const std::int64_t at = (image * maps.pixels + pixel) * channels;
      const Real<T>* factors = maps.factors_of(image, pixel);
      Real<T>* grad_factors = maps.grad_factors + (factors - maps.factors);
      const Real<T>* kept = maps.kept == nullptr ? nullptr : maps.kept + image * 2 * channels;
      const bool is_first = image == 0 || !maps.has_one_set;
      for (std::int64_t c = 0; c < channels; ++c) {
        Real<T> of_second = load_element(maps.joined + 2 * at + c);
        Real<T> of_attended = load_element(maps.joined + 2 * at + channels + c);
        of_second = kept == nullptr ? of_second : kept[c] * of_second;
        of_attended = kept == nullptr ? of_attended : kept[channels + c] * of_attended;
        const Real<T> first = load_element(maps.first + at + c);
        const Real<T> second = load_element(maps.second + at + c);
        const Real<T> of_product = of_attended * second;
        store_element(maps.grad_first + at + c, of_product * factors[c]);
        store_element(maps.grad_second + at + c,
                      (of_second + of_attended * factors[c] * first) * second * (1 - second));
        grad_factors[c] = (is_first ? 0 : grad_factors[c]) + of_product * first;
      }
    }
  }
}

XTASC_MULTIVERSION void join(const JoinMaps<float>& maps, std::int64_t begin, std::int64_t end) {
  join_of(maps, begin, end);
}
XTASC_MULTIVERSION void join(const JoinMaps<double>& maps, std::int64_t begin, std::int64_t end) {
  join_of(maps, begin, end);
}
XTASC_MULTIVERSION void join(const JoinMaps<Bfloat16Bits>& maps, std::int64_t begin, std::int64_t end) {
  join_of(maps, begin, end);
}
XTASC_MULTIVERSION void join_backward(const JoinMaps<float>& maps, std::int64_t begin, std::int64_t end) {
  join_backward_of(maps, begin, end);
}
XTASC_MULTIVERSION void join_backward(const JoinMaps<double>& maps, std::int64_t begin, std::int64_t end) {
  join_backward_of(maps, begin, end);
}
XTASC_MULTIVERSION void join_backward(const JoinMaps<Bfloat16Bits>& maps, std::int64_t begin, std::int64_t end) {
  join_backward_of(maps, begin, end);
}

/// The maps of both directions; what is not given stays null.
template <typename T>
JoinMaps<T> maps_of(const at::Tensor& first, const at::Tensor& second, const at::Tensor& factors,
                    const at::Tensor& kept, const at::Tensor& joined) {
  return {.images = first.size(0),
          .pixels = first.size(2) * first.size(3),
          .channels = first.size(1),
          .has_one_set = factors.size(0) == 1,
          .first = data_of<T>(first),
          .second = data_of<T>(second),
          .factors = data_of<Real<T>>(factors),
          .kept = kept.defined() ? data_of<Real<T>>(kept) : nullptr,
          .joined = data_of<T>(joined),
          .grad_first = nullptr,
          .grad_second = nullptr,
          .grad_factors = nullptr};
}

template <typename Work>
void for_pixels(const at::Tensor& map, const Work& work) {
  const std::int64_t of_pixel = std::max<std::int64_t>(1, map.size(0) * map.size(1));
  at::parallel_for(0, map.size(2) * map.size(3), std::max<std::int64_t>(1, kGrain / of_pixel), work);
}

at::Tensor over_pixels(const at::Tensor& kept_nc, at::ScalarType type) {
  return kept_nc.to(type).unsqueeze(2).unsqueeze(3);
}

class JoinFunction : public torch::autograd::Function<JoinFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& first_map,
                            const at::Tensor& factors_chw, const std::optional<at::Tensor>& kept_nc) {
    const at::Tensor kept = kept_nc.value_or(at::Tensor());
    const at::Tensor second = x.detach().contiguous(kLayout).sigmoid_();
    const at::Tensor first = first_map.contiguous(kLayout);
    const at::Tensor factors = factors_chw.contiguous(kLayout);
    context->save_for_backward({first, second, factors, kept});
    if (!takes_loops(first)) {
      const at::Tensor joined = at::cat({second, factors.to(first.scalar_type()) * first * second}, 1);
      return (kept.defined() ? joined * over_pixels(kept, first.scalar_type()) : joined).contiguous(kLayout);
    }
    at::Tensor joined = at::empty({first.size(0), 2 * first.size(1), first.size(2), first.size(3)},
                                  first.options().memory_format(kLayout));
    with_element_type(first, "gate", [&]<typename T>(T* /*type*/) {
      const JoinMaps<T> maps = maps_of<T>(first, second, factors, kept, joined);
      for_pixels(first, [&maps](std::int64_t begin, std::int64_t end) { join(maps, begin, end); });
    });
    return joined;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& first = saved[0];
    const at::Tensor& second = saved[1];
    const at::Tensor& factors = saved[2];
    const at::Tensor& kept = saved[3];
    const at::Tensor grad = gradients[0].contiguous(kLayout);
    if (!takes_loops(grad)) {
      const at::Tensor all = kept.defined() ? grad * over_pixels(kept, grad.scalar_type()) : grad;
      const std::int64_t channels = first.size(1);
      const at::Tensor of_product = all.narrow(1, channels, channels) * second;
      const at::Tensor in_type = factors.to(first.scalar_type());
      const at::Tensor of_second = all.narrow(1, 0, channels) + all.narrow(1, channels, channels) * in_type * first;
      return {of_second * second * (1 - second), of_product * in_type,
              (of_product * first).to(factors.scalar_type()).sum_to_size(factors.sizes()), at::Tensor()};
    }
    const at::Tensor grad_first = at::empty_like(first);
    const at::Tensor grad_second = at::empty_like(second);
    const at::Tensor grad_factors = at::empty_like(factors);
    with_element_type(first, "gate", [&]<typename T>(T* /*type*/) {
      JoinMaps<T> maps = maps_of<T>(first, second, factors, kept, grad);
      maps.grad_first = data_of<T>(grad_first);
      maps.grad_second = data_of<T>(grad_second);
      maps.grad_factors = data_of<Real<T>>(grad_factors);
      for_pixels(first, [&maps](std::int64_t begin, std::int64_t end) { join_backward(maps, begin, end); });
      if (first.size(0) == 0) {
        grad_factors.zero_();
      }
    });
    return {grad_second, grad_first, grad_factors, at::Tensor()};
  }
};

}  // namespace

at::Tensor sigmoid_gate(const at::Tensor& x, const at::Tensor& attended) {
  check(x.sizes() == attended.sizes() && x.scalar_type() == attended.scalar_type(), "gate: {} {} for {} {}",
        fmt::join(x.sizes(), " x "), c10::toString(x.scalar_type()), fmt::join(attended.sizes(), " x "),
        c10::toString(attended.scalar_type()));
  return GateFunction::apply(x, attended);
}

at::Tensor join_with_factors(const at::Tensor& x, const at::Tensor& first, const at::Tensor& factors_chw,
                             const at::Tensor& kept_nc) {
  check(x.sizes() == first.sizes() && x.scalar_type() == first.scalar_type(), "factors: maps {} and {} disagree",
        fmt::join(x.sizes(), " x "), fmt::join(first.sizes(), " x "));
  const auto type = first.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const bool have_sets = factors_chw.size(0) == 1 || factors_chw.size(0) == first.size(0);
  check(have_sets && factors_chw.sizes().slice(1) == first.sizes().slice(1) && factors_chw.scalar_type() == type,
        "factors: {} {} for maps of {}", fmt::join(factors_chw.sizes(), " x "),
        c10::toString(factors_chw.scalar_type()), fmt::join(first.sizes(), " x "));
  check(!kept_nc.defined() || (kept_nc.size(0) == first.size(0) && kept_nc.size(1) == 2 * first.size(1) &&
                               kept_nc.scalar_type() == type && kept_nc.is_contiguous()),
        "factors: dropout of another shape or type");
  return JoinFunction::apply(x, first, factors_chw, kept_nc.defined() ? std::optional(kept_nc) : std::nullopt);
}

}  // namespace xtasc::kernels
