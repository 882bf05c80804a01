#pragma once

#include <span>
#include <vector>

#include "report/aggregate.hpp"

namespace xtasc::report {

/// The groups that a figure over lambda says something about: nets of which there are two lambdas, and nets without
/// transfer nets (Base MT-Net, Base ST-Net) of the same encoder and decoder. All where no net has two lambdas.
[[nodiscard]] std::vector<SeedGroup> along_lambda(std::span<const SeedGroup> groups);

/// The groups that a figure over encoders says something about: nets of which there are two encoders, started from
/// given weights or not. All where no net has two.
[[nodiscard]] std::vector<SeedGroup> along_encoders(std::span<const SeedGroup> groups);

/// The groups that a figure over the kept labels says something about: nets of which there are two values of
/// data.label_share and data.one_label. All where no net has two.
[[nodiscard]] std::vector<SeedGroup> along_labels(std::span<const SeedGroup> groups);

}  // namespace xtasc::report
