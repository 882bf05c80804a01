#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "report/aggregate.hpp"

namespace xtasc::report {

/// A short name for each group, telling apart what differs: "XTasC-Net", or "XTasC-Net, uncertainty, lambda_1 0.01"
/// where weighting and lambda_1 differ among the groups.
/// \param ignored  config keys that do not count; groups that differ in nothing else share a name
[[nodiscard]] std::vector<std::string> series_names(std::span<const SeedGroup> groups,
                                                    const std::set<std::string>& ignored);

/// "nyuv2, 96 x 128, 13 classes; `paper` protocol, mean of 3 seeds": what a figure shows, for the line below its title.
/// \param protocol  absent where no metrics are shown
/// \param spread  how a deviation is drawn: "bars", "bands"
[[nodiscard]] std::string shown_text(std::span<const SeedGroup> groups, std::optional<Protocol> protocol,
                                     std::string_view spread);
/// The same of figures that are not over all seeds of groups. \param num_seeds  that numbers are means of, one at least
[[nodiscard]] std::string shown_text(const run::Provenance& from, const std::set<std::size_t>& num_seeds,
                                     std::optional<Protocol> protocol, std::string_view spread);

}  // namespace xtasc::report
