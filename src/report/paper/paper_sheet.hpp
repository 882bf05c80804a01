#pragma once

#include <span>
#include <vector>

#include "report/paper/paper_match.hpp"
#include "report/sheet.hpp"

namespace xtasc::report {

/// One of the paper's tables in its own layout and rows: the published figures, ours beside them (mean +- deviation
/// over seeds), Delta_m as printed, as eq. 17 gives it from the printed figures, and ours; misprints marked. Rows of
/// other authors' systems hold published figures only. What is missing is said, with the command that makes it.
[[nodiscard]] Sheet paper_sheet(const PublishedTable& table, const std::vector<PublishedTable>& all,
                                const PaperMatch& match, Protocol protocol, Checkpoint checkpoint);

}  // namespace xtasc::report
