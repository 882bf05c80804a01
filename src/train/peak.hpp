#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>

#include "config/run_config.hpp"

namespace xtasc::train {

/// What a GPU of this name does at most, in operations a second, by its maker's data sheet (dense, not sparse; boost
/// clock). \param name  as the driver has it, "NVIDIA H100 80GB HBM3" \returns  nullopt for a GPU that is not in the
/// table
[[nodiscard]] std::optional<double> named_peak(std::string_view name, config::Precision precision);

/// What this rank's device does at most, in operations a second: run.peak_tflops; else on a GPU named_peak(), on a CPU
/// the best of some matrix products of torch's, whose size grows until one takes a few milliseconds; in bf16 float32's
/// where they are faster.
[[nodiscard]] std::optional<double> peak_of_device(const config::RunSection& run, at::Device device,
                                                   at::ScalarType type);

}  // namespace xtasc::train
