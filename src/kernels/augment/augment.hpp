#pragma once

#include <c10/core/Device.h>

#include <span>

#include "kernels/augment/augment_element.hpp"

namespace xtasc::kernels {

/// Gathers, crops, flips, resizes and normalises views.size() samples, all on the device of the store: the CPU, or the
/// current GPU, which the host does not wait for.
void augment(const SampleStore& store, std::span<const SampleView> views, const BatchMemory& out, c10::Device device);

}  // namespace xtasc::kernels
