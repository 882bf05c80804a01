#pragma once

#include <string>

namespace xtasc {

/// This machine's processor as the system names it: "AMD EPYC 9654"; "unknown processor" where it does not say.
[[nodiscard]] std::string processor_name();

}  // namespace xtasc
