#pragma once

#include <string>
#include <string_view>

namespace xtasc {

/// Makes of a path as a user writes it the path that is meant: "~/" in front is the folder HOME. What a shell would
/// fill in besides, "~name" and "$NAME", is refused, unless a folder or file of that name is there.
/// \param path  changed in place \returns what is wrong with it; empty: nothing
[[nodiscard]] std::string fill_in_home(std::string& path);
/// What is wrong with a path that a shell has looked at already; empty: nothing. As fill_in_home, but "~/" is left,
/// too.
[[nodiscard]] std::string fault_of_path(const std::string& path);

/// Looks whether what a command line names is there, before any work. \param option  who names it, "--pack"
/// \param path  empty: not given \throws Error  with exit code 2 where it is not
void require_input(std::string_view option, const std::string& path);

}  // namespace xtasc
