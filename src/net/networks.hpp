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

/// What decides a network's layers.
struct Choice {
  config::ModelSection section;
  task::Tasks tasks;
  std::int64_t num_classes = 0;  ///< of the labels; not looked at without a task of classes

  [[nodiscard]] std::int64_t channels(const task::Task& task) const { return task.num_channels(num_classes); }
};

/// With the tasks of the system's row.
[[nodiscard]] Choice choice_of(const config::ModelSection& section, std::int64_t num_classes);

using Describe = std::vector<Convolution> (*)(const Choice& choice);
/// Names of tensors, or what names begin with, that a network's public code saves and no prediction depends on.
using Unread = std::vector<std::string> (*)(const Choice& choice);

/// Every convolution of a system's network, in the order of its tensors. \throws Error when nothing describes it
[[nodiscard]] std::vector<Convolution> convolutions_of(const config::ModelSection& section, std::int64_t num_classes);

/// What a file of the network's weights may hold beside them, as names and beginnings of names.
[[nodiscard]] std::vector<std::string> unread_in_files(const config::ModelSection& section);

/// How many times smaller than the image's sides the smallest maps with a batch norm are; 1 where there is none.
[[nodiscard]] std::int64_t deepest_norm(const config::ModelSection& section);

/// Names of the biases behind whose convolution a batch norm stands, which takes them away again: in training their
/// true gradient is zero, and Adam magnifies the rounding that is left of it.
[[nodiscard]] std::set<std::string> biases_before_norms(const config::ModelSection& section);

/// One description more, for a network that lives outside of this source tree.
void add(std::string_view network, Describe describe);

}  // namespace xtasc::net
