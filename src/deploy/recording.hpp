#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/network.hpp"

namespace torch::jit {
struct Graph;
}  // namespace torch::jit

namespace xtasc::deploy {

/// What a deployed net is given.
enum class Input {
  uint8,    ///< (N, H, W, 3) RGB, 0 to 255; the net normalises it itself
  float32,  ///< (N, 3, H, W) RGB, normalised: (value / 255 - mean) / deviation
};

/// The images that a net is deployed for.
struct ImageForm {
  Input input = Input::uint8;
  std::int64_t height = 0, width = 0;                      ///< multiples of 32
  std::array<double, 3> mean = {}, deviation = {1, 1, 1};  ///< of the channels, for values from 0 to 1

  [[nodiscard]] std::vector<std::int64_t> shape(std::int64_t num_images) const;
};

/// One of the results of a deployed net.
struct Output {
  std::string name;                 ///< KEY_label, KEY_probability, or the task's key
  std::vector<std::int64_t> shape;  ///< of one image
  at::ScalarType type;
};

/// What a network computes of a batch of images, as a graph of ATen's operators. Its inputs are `image`, a batch of any
/// size, and then the weights.
struct Recording {
  std::shared_ptr<torch::jit::Graph> graph;
  ImageForm form;
  std::vector<Output> outputs;              ///< in the graph's order
  std::vector<model::NamedTensor> weights;  ///< in the graph's order, under names of weights.pt, each another
};

/// Records the direct predictions of the network for evaluation, its batch norms folded into the convolutions:
///
///     classes       KEY_label        (N, H, W) uint8, the most probable; of equals the first
///                   KEY_probability  (N, classes, H, W), softmax
///     depth         KEY              (N, 1, H, W), in the unit of the truth
///     unit vectors  KEY              (N, 3, H, W), of length 1
///
/// Floats are float32. What serves training alone (task-transfer nets, features for students) is not in it.
/// \param net  in float32 on the CPU
/// \throws Error when the network cannot take images of that form
[[nodiscard]] Recording record(const model::Network& net, const ImageForm& form);

/// The same results as the network itself computes them now, by the outputs' names.
[[nodiscard]] std::vector<model::NamedTensor> results_of(const model::Network& net, const at::Tensor& image,
                                                         const ImageForm& form);

}  // namespace xtasc::deploy
