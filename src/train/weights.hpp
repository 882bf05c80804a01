#pragma once

#include <cstdint>
#include <string>

#include "config/run_config.hpp"
#include "model/network.hpp"
#include "net/networks.hpp"
#include "tensorfile/tensor_file.hpp"
#include "train/setup.hpp"

namespace xtasc::train {

/// Copies a dictionary of tensors into the learner's weights.
/// \param source  where they come from, for the message
/// \throws Error with a line for each tensor that is missing, left over (num_batches_tracked aside) or of another shape
/// or type.
void load_weights(const Learner& learner, const std::string& source, const tensorfile::TensorDict& tensors);

/// The same for a network by itself: its parameters and buffers.
void load_network_weights(const model::Network& net, const std::string& source, const tensorfile::TensorDict& tensors);
/// \throws Error as load_network_weights does, and copies nothing. \param net  on any device \param name  for the
/// message
void check_network_weights(const model::Network& net, const std::string& source, const tensorfile::TensorDict& tensors,
                           const std::string& name);

/// The size of the images and the number of slots that the weights are for, where the network depends on them; and
/// num_classes_of(). \throws Error as num_classes_of does
[[nodiscard]] net::Sizes sizes_of(const config::ModelSection& model, const std::string& source,
                                  const tensorfile::TensorDict& tensors);

/// How many classes the weights are for: by the shape of the first of the network's layers that depends on it. 0
/// for a system without a task of classes.
/// \param source  where they come from, for the message
/// \throws Error when there is no such parameter among them, or not of its dimensions
[[nodiscard]] std::int64_t num_classes_of(const config::ModelSection& model, const std::string& source,
                                          const tensorfile::TensorDict& tensors);

/// Weights for an encoder, as a file gave them.
struct EncoderWeights {
  tensorfile::TensorDict tensors;  ///< by the net's own names
  std::string note;                ///< one line: the file, its format and what of it was not used
};

/// Reads model.encoder_weights, a file with the names of torchvision's ResNets, in any format of tensorfile. The
/// classifier (fc.*) is not used; what stands before all of their names ("module.", "backbone.") is left off, and what
/// the file holds besides is not used.
/// \param set  the net's tensors, on any device: only their names and shapes are looked at
/// \throws Error as load_weights does; also when a number is NaN or infinite
[[nodiscard]] EncoderWeights read_encoder_weights(const model::ParameterSet& set, const config::ModelSection& model);

/// Copies read_encoder_weights into the learner's encoder and logs its note.
void load_encoder_weights(const Learner& learner, const config::ModelSection& model);

}  // namespace xtasc::train
