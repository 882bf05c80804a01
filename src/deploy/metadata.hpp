#pragma once

#include <map>
#include <string>

namespace xtasc::deploy {

/// What a file says about itself, by key.
using Metadata = std::map<std::string, std::string>;

}  // namespace xtasc::deploy
