#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.hpp"
#include "net/layers.hpp"
#include "task/task.hpp"

namespace xtasc::net {

/// What the data decide of a network.
struct Sizes {
  Sizes(std::int64_t classes) : num_classes(classes) {}  // NOLINT(google-explicit-constructor): most need no more
  Sizes(std::int64_t classes, std::int64_t image_height, std::int64_t image_width, std::int64_t batch_size = 1)
      : num_classes(classes), height(image_height), width(image_width), slots(batch_size) {}

  std::int64_t num_classes;            ///< of the labels; not looked at without a task of classes
  std::int64_t height = 0, width = 0;  ///< of the images, for networks that they decide; 0: not known
  std::int64_t slots = 1;              ///< places in the global batch
};

/// What decides a network's layers.
struct Choice {
  config::ModelSection section;
  task::Tasks tasks;
  Sizes sizes = 0;

  [[nodiscard]] std::int64_t channels(const task::Task& task) const { return task.num_channels(sizes.num_classes); }
};

/// With the tasks of the system's row.
[[nodiscard]] Choice choice_of(const config::ModelSection& section, const Sizes& sizes);

using Describe = std::vector<Convolution> (*)(const Choice& choice);
/// Names of tensors, or what names begin with, that a network's public code saves and no prediction depends on.
using Unread = std::vector<std::string> (*)(const Choice& choice);
/// The name of a tensor (slots, channels, H, W) of a network that the image's size decides.
using SizedBy = std::string (*)(const Choice& choice);

/// Every convolution of a system's network, in the order of its tensors. \throws Error when nothing describes it
[[nodiscard]] std::vector<Convolution> convolutions_of(const config::ModelSection& section, std::int64_t num_classes);

/// The tensor (slots, channels, H, W) that tells the size of the images that weights are for; empty: they are for any.
[[nodiscard]] std::string sized_by(const config::ModelSection& section);

/// What a file of the network's weights may hold beside them, as names and beginnings of names.
[[nodiscard]] std::vector<std::string> unread_in_files(const config::ModelSection& section);

/// Of the smallest maps with a batch norm, for an image of height x width; the image's where there is none.
[[nodiscard]] std::int64_t fewest_normed_pixels(const config::ModelSection& section, std::int64_t height,
                                                std::int64_t width);

/// Names of the biases behind whose convolution a batch norm stands, which takes them away again: in training their
/// true gradient is zero, and Adam magnifies the rounding that is left of it.
[[nodiscard]] std::set<std::string> biases_before_norms(const config::ModelSection& section);

/// One description more, for a network that lives outside of this source tree.
void add(std::string_view network, Describe describe);

}  // namespace xtasc::net
