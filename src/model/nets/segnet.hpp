#pragma once

#include "model/network.hpp"

namespace xtasc::model {

/// A SegNet with one head a task: net::segnet_convolutions.
[[nodiscard]] std::unique_ptr<Network> make_segnet(const NetworkOptions& options);

}  // namespace xtasc::model
