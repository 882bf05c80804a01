#pragma once

#include "model/network.hpp"

namespace xtasc::model {

/// A shared SegNet and one a task that reads it: net::Dense.
[[nodiscard]] std::unique_ptr<Network> make_dense(const NetworkOptions& options);

}  // namespace xtasc::model
