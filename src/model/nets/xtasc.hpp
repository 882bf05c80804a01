#pragma once

#include "model/network.hpp"

namespace xtasc::model {

/// The paper's net: one encoder, a decoder a task, and where the system has them a task-transfer net from each task to
/// each other one. Parameters: encoder., A_decoder., A_to_B., by the tasks' keys.
/// Source: Nakano et al. 2021, section III.
[[nodiscard]] std::unique_ptr<Network> make_xtasc_net(const NetworkOptions& options);

}  // namespace xtasc::model
