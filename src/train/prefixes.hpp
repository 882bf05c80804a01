#pragma once

#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "tensorfile/tensor_file.hpp"

namespace xtasc::train {

/// What stood before the names of a net's tensors in a file.
struct Prefix {
  std::string text;                  ///< "module." of DataParallel, "_orig_mod." of torch.compile, "model.", ...
  std::vector<std::string> outside;  ///< names that it does not stand before
};

/// Takes the beginning off the names of the file's tensors behind which all of the `wanted` ones stand, or, where there
/// is none, the one that all names have in common. Names that it does not stand before stay. Nothing is done where the
/// first of the wanted names is there as it is. Before that torch.compile's "_orig_mod." is taken out of the middle of
/// names, where wanted ones are not found otherwise. Where they stand behind several beginnings with equal tensors, it
/// is one net, and only the first is left. \param source  the file's path, for the message \throws Error when all of
/// the wanted names stand behind several beginnings: the file holds several nets
Prefix strip_prefix(tensorfile::TensorFile& file, const std::vector<std::string>& wanted, const std::string& source);

/// The tensors of a file of weights of the config's net, without what wrappers of nets put before all names; says so.
[[nodiscard]] tensorfile::TensorDict read_network_file(const std::string& path, const config::ModelSection& model);

}  // namespace xtasc::train
