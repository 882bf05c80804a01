#pragma once

#include <span>
#include <string>
#include <string_view>

#include "report/table.hpp"

namespace xtasc::report {

/// The tables as one CSV file: a header line, then one line a row, everything that is measured of the
/// rows' tasks, numbers with all their digits (mIoU and PixAcc as shares in 0..1), empty where absent. Quoting as in
/// RFC 4180; lines end in \n.
[[nodiscard]] std::string to_csv(std::span<const Table> tables);

/// One field as RFC 4180 wants it: in quotes when it holds a comma, a quote or a line break.
[[nodiscard]] std::string csv_field(std::string_view text);

}  // namespace xtasc::report
