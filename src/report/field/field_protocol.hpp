#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "report/aggregate.hpp"
#include "report/field/field_tables.hpp"

namespace xtasc::report {

/// One choice of how nets were trained or measured, in words: "288 x 384 pixels".
struct Aspect {
  std::string published;                              ///< of the table
  std::function<std::string(const SeedGroup&)> ours;  ///< the same words where the net has the same
  bool is_implied = false;                            ///< not worth telling where the net has the same
};

/// All that the table's source tells. \param forced  the protocol that our metrics are shown in; absent: the table's
[[nodiscard]] std::vector<Aspect> aspects_of(const FieldTable& table, Checkpoint checkpoint,
                                             const std::optional<Protocol>& forced);

/// In which protocol of ours a task's metrics are pooled as the table does, or most nearly so.
[[nodiscard]] Protocol protocol_of(const FieldTable& table, const std::string& task,
                                   const std::optional<Protocol>& forced);

/// "5 epochs (published: 200 epochs)", ...: where a net departs from the table.
[[nodiscard]] std::vector<std::string> departures_of(const SeedGroup& group, const std::vector<Aspect>& aspects);

}  // namespace xtasc::report
