#include "optim/gradient_math.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

namespace xtasc::optim {

namespace {

constexpr std::int64_t kRow = 4096;
constexpr std::int64_t kRowsAtOnce = 256;  // the float64 copies stay small

}  // namespace

at::Tensor dot_64(const at::Tensor& a, const at::Tensor& b) {
  const auto product = [&](std::int64_t begin, std::int64_t size) {
    return a.narrow(0, begin, size).to(at::kDouble) * b.narrow(0, begin, size).to(at::kDouble);
  };
  const std::int64_t whole = a.numel() / kRow * kRow;
  std::vector<at::Tensor> sums;
  for (std::int64_t begin = 0; begin < whole; begin += kRow * kRowsAtOnce) {
    const std::int64_t size = std::min(kRow * kRowsAtOnce, whole - begin);
    sums.push_back(product(begin, size).view({-1, kRow}).sum(1));
  }
  sums.push_back(product(whole, a.numel() - whole).sum().view({1}));
  return at::cat(sums).sum();
}

at::Tensor shrinking_factor(const at::Tensor& squared_norm, double max_norm, double added) {
  constexpr double kTiny = 1e-300;
  return (max_norm / (squared_norm.sqrt() + added).clamp_min(kTiny)).clamp_max(1.0);
}

void clip_norm(const at::Tensor& gradient, double max_norm, double added) {
  gradient.mul_(shrinking_factor(dot_64(gradient, gradient), max_norm, added).to(gradient.scalar_type()));
}

}  // namespace xtasc::optim
