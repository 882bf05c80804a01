#include "net/networks.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <string>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "net/xtasc.hpp"

namespace xtasc::net {

namespace {

/// The layers of a network, by the word that the systems' rows have for it.
std::map<std::string, Describe, std::less<>>& descriptions() {
  static std::map<std::string, Describe, std::less<>> rows = {{"xtasc", xtasc_convolutions}};
  return rows;
}

}  // namespace

Choice choice_of(const config::ModelSection& section, std::int64_t num_classes) {
  return {.section = section, .tasks = config::tasks_of(config::system_of(section.system)), .num_classes = num_classes};
}

std::vector<Convolution> convolutions_of(const config::ModelSection& section, std::int64_t num_classes) {
  const auto found = descriptions().find(config::system_of(section.system).network);
  check(found != descriptions().end(), "nothing describes the layers of system \"{}\"", section.system);
  return found->second(choice_of(section, num_classes));
}

std::int64_t deepest_norm(const config::ModelSection& section) {
  std::int64_t deepest = 1;
  for (const Convolution& layer : convolutions_of(section, /*num_classes=*/2)) {
    deepest = layer.norm.empty() ? deepest : std::max(deepest, layer.shrunk);
  }
  return deepest;
}

std::set<std::string> biases_before_norms(const config::ModelSection& section) {
  std::set<std::string> names;
  for (const Convolution& layer : convolutions_of(section, /*num_classes=*/2)) {
    if (layer.has_bias && !layer.norm.empty()) {
      names.insert(layer.name + ".bias");
    }
  }
  return names;
}

void add(std::string_view network, Describe describe) {
  check(descriptions().emplace(network, describe).second, "the layers of network \"{}\" are described already",
        network);
}

}  // namespace xtasc::net
