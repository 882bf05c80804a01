#pragma once

#include <string>

#include "deploy/metadata.hpp"
#include "deploy/recording.hpp"

namespace xtasc::deploy {

/// The recorded net as an ONNX file (opset 17): one node or a few for each of the graph's, the weights as initializers
/// under their names, metadata_props as given.
/// \throws Error  that names the operator when the graph has one that no row translates (onnx_operators.cpp), or says
///                how large the weights are when they are more than such a file can hold, 2 GB
[[nodiscard]] std::string onnx_bytes(const Recording& recording, const Metadata& metadata);

}  // namespace xtasc::deploy
