#include "kernels/tiles/behind_relu_avx512.hpp"
#include "kernels/upsample/upsampled_avx512.hpp"
#include "kernels/winograd/winograd_avx512.hpp"

namespace xtasc::kernels::winograd {

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)

bool is_supported(Element element) {
  const bool has_avx512 = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                          __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  switch (element) {
    case Element::bfloat16:
      return has_avx512 && __builtin_cpu_supports("avx512bf16") != 0;
    case Element::tiled_bfloat16:
      return has_avx512 && __builtin_cpu_supports("avx512bf16") != 0 && __builtin_cpu_supports("amx-bf16") != 0;
    default:
      return has_avx512;
  }
}

#else  // the kernels are written with GCC's means for x86

bool is_supported(Element) {
  return false;
}
std::int64_t lanes_of(Element) {
  return 1;
}
std::int64_t num_blocks(const Size&) {
  return 0;
}
std::int64_t scratch_bytes(Element, std::int64_t, std::int64_t) {
  return 0;
}
void transform_weight(Element, const WeightTransform&, std::int64_t, std::int64_t) {}
void forward(Element, const Forward&, std::int64_t, std::int64_t, void*) {}
void weight_gradient(Element, const WeightGradient&, std::int64_t, std::int64_t, void*, void*, void*) {}
void finish_weight_gradient(Element, const WeightSums&, std::int64_t, std::int64_t) {}

#endif

}  // namespace xtasc::kernels::winograd

#if !defined(__x86_64__) || !defined(__GNUC__) || defined(__clang__)

namespace xtasc::kernels::upsampled {

std::int64_t num_parts(Element, const Size&, std::int64_t) {
  return 0;
}
std::int64_t forward_bytes(Element, const Size&, std::int64_t) {
  return 0;
}
std::int64_t backward_bytes(Element, const Size&, std::int64_t, std::int64_t) {
  return 0;
}
void transform_weight(Element, const WeightTransform&, std::int64_t, std::int64_t) {}
void finish_weight_gradient(Element, const WeightSums&, std::int64_t, std::int64_t) {}
void forward(Element, const Forward&, std::int64_t, std::int64_t, void*) {}
void backward(Element, const Backward&, std::int64_t, std::int64_t, void*, void*, void*) {}

}  // namespace xtasc::kernels::upsampled

namespace xtasc::kernels::tiles {

void take_behind_relu(const BehindReluWork&, std::int64_t, std::int64_t, double*) {}

}  // namespace xtasc::kernels::tiles

#endif
