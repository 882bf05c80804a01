#pragma once

#include <string>

namespace xtasc {

/// This machine's name, as gethostname gives it.
[[nodiscard]] std::string this_host();

/// "HOST, process 1234": for notes.
[[nodiscard]] std::string this_process();

}  // namespace xtasc
