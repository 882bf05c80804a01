#pragma once

#include <string>

namespace xtasc {

/// Now as "2026-01-31T12:34:56Z", or the time that the environment's SOURCE_DATE_EPOCH names
/// (https://reproducible-builds.org/docs/source-date-epoch); empty, it counts as not set.
/// \throws Error (exit code 2)  unless that is a whole number of seconds since 1970, before the year 10000
[[nodiscard]] std::string utc_now();

}  // namespace xtasc
