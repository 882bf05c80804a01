#pragma once

#include "model/network.hpp"
#include "net/mtan.hpp"

namespace xtasc::model {

/// Multi-task attention network, with one task STAN: net::Mtan. As features it has for each task what its attention
/// ends the way down with, (N, 512, H / 32, W / 32), and the way up, (N, 64, H, W), behind its adaptors where it has
/// some.
[[nodiscard]] std::unique_ptr<Network> make_mtan(const NetworkOptions& options);
[[nodiscard]] std::unique_ptr<Network> make_mtan(const NetworkOptions& options, const net::Mtan& layers);

}  // namespace xtasc::model
