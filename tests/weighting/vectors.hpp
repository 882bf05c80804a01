#pragma once

#include <ATen/ATen.h>

#include <cmath>

namespace xtasc::test {

inline double product(const at::Tensor& a, const at::Tensor& b) {
  return (a * b).sum().item<double>();
}

inline double length(const at::Tensor& a) {
  return std::sqrt(product(a, a));
}

}  // namespace xtasc::test
