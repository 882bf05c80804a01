#pragma once

#include <optional>
#include <vector>

#include "report/aggregate.hpp"
#include "report/field/field_tables.hpp"
#include "report/sheet.hpp"

namespace xtasc::report {

/// Our finished nets by both protocols: the same ones in the same order.
struct NetsByProtocol {
  std::vector<SeedGroup> paper, dataset;
};

/// A published table as printed, and below it our nets of its data set that have its tasks (mean +- deviation over
/// seeds), each with a footnote of all in which its protocol departs from the published one. Delta_m of ours is over
/// the published base, by the table's form; of a published one that its printed figures do not give a footnote says so.
/// \param forced  the protocol of ours; absent: of each task the one that pools as the table does
[[nodiscard]] Sheet field_sheet(const FieldTable& table, const NetsByProtocol& nets, Checkpoint checkpoint,
                                const std::optional<Protocol>& forced);

}  // namespace xtasc::report
