#pragma once

#include "model/network.hpp"

namespace xtasc::model {

/// MTAN with adaptors for its teachers: net::kd4mtl.
[[nodiscard]] std::unique_ptr<Network> make_kd4mtl(const NetworkOptions& options);

}  // namespace xtasc::model
