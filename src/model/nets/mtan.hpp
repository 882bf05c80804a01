#pragma once

#include "model/network.hpp"

namespace xtasc::model {

/// Multi-task attention network, with one task STAN: net::Mtan.
[[nodiscard]] std::unique_ptr<Network> make_mtan(const NetworkOptions& options);

}  // namespace xtasc::model
