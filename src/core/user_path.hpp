#pragma once

#include <string>

namespace xtasc {

/// Makes of a path as a user writes it the path that is meant: "~/" in front is the folder HOME. What a shell would
/// fill in besides, "~name" and "$NAME", is refused: it would be a folder of that name.
/// \param path  changed in place \returns what is wrong with it; empty: nothing
[[nodiscard]] std::string fill_in_home(std::string& path);

}  // namespace xtasc
