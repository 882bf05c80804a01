#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace xtasc::metric {

/// How often each of 0 .. size - 1 occurs among `numbers`, (M) int64. \returns (size) int64, without a host wait
[[nodiscard]] at::Tensor counts_of(const at::Tensor& numbers, std::int64_t size);

/// Sum of the values where `mask` holds; the others may be anything.
[[nodiscard]] at::Tensor masked_sum(const at::Tensor& values, const at::Tensor& mask);

}  // namespace xtasc::metric
