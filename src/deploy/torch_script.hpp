#pragma once

#include <map>
#include <string>

#include "deploy/metadata.hpp"
#include "deploy/recording.hpp"

namespace xtasc::deploy {

/// The recorded net as a TorchScript archive, which torch.jit.load opens without any code of ours: a module with the
/// weights as its parameters under their names, whose forward(image) returns a dictionary of the outputs. The metadata
/// are the archive's extra file `metadata.json`.
[[nodiscard]] std::string torch_script_bytes(const Recording& recording, const Metadata& metadata);

/// Holds what was recorded to the network itself, on a batch of two made images against each of them alone.
/// \throws Error  that names the output which differs by more than rounding explains
void check_recording(const Recording& recording, const model::Network& net);

}  // namespace xtasc::deploy
