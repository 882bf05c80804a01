#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace xtasc::optim {

/// Looks at numbers that pass by step after step, and remembers on the device in which step the first NaN or infinity
/// was among them. Nothing waits for the device; add() reads its memory once. On torch's `meta` device it does nothing.
class FiniteCheck {
 public:
  explicit FiniteCheck(at::Device device);

  /// \param values  dense memory of float32 or float64, on the device
  void add(const at::Tensor& values) const;
  /// What was added since the last call was one step's.
  void end_step() const;

  /// (kFiniteStateSize) int64 on the device, see finite_element.hpp: kFirstBad is -1 or counts the steps since the
  /// start.
  [[nodiscard]] const at::Tensor& state() const { return state_; }

 private:
  at::Tensor state_;
};

/// Names the first tensor that holds a NaN or an infinity, and how many: "encoder.bn1.running_var (3 of 64 values)";
/// empty where all are finite. Waits for the device.
[[nodiscard]] std::string first_not_finite(const std::vector<std::pair<std::string, at::Tensor>>& tensors);

}  // namespace xtasc::optim
