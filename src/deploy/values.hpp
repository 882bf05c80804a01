#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace torch::jit {
struct Value;
}  // namespace torch::jit

namespace xtasc::deploy {

/// What a value of a recorded graph was when it was recorded, of one image.
[[nodiscard]] at::ScalarType type_of(const torch::jit::Value* value);
[[nodiscard]] std::vector<std::int64_t> sizes_of(const torch::jit::Value* value);

}  // namespace xtasc::deploy
