#include "net/networks.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <string>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "net/adamt.hpp"
#include "net/cross_stitch.hpp"
#include "net/deeplab.hpp"
#include "net/dense.hpp"
#include "net/kd4mtl.hpp"
#include "net/mtan.hpp"
#include "net/segnet.hpp"
#include "net/xtasc.hpp"

namespace xtasc::net {

namespace {

struct Description {
  Describe convolutions = nullptr;
  Unread unread = nullptr;     ///< null: nothing
  SizedBy sized_by = nullptr;  ///< null: images of any size
};

/// The layers of a network, by the word that the systems' rows have for it.
std::map<std::string, Description, std::less<>>& descriptions() {
  static std::map<std::string, Description, std::less<>> rows = {
      {"xtasc", {xtasc_convolutions}},
      {"segnet", {segnet_convolutions, segnet_unread}},
      {"mtan", {mtan_convolutions, mtan_unread}},
      {"kd4mtl", {kd4mtl_convolutions, mtan_unread}},
      {"adamt", {adamt_convolutions, nullptr, adamt_sized_by}},
      {"deeplab", {deeplab_convolutions}},
      {"dense", {dense_convolutions, dense_unread}},
      {"cross_stitch", {cross_stitch_convolutions, cross_stitch_unread}}};
  return rows;
}

const Description& description_of(const config::ModelSection& section) {
  const auto found = descriptions().find(config::system_of(section).network);
  check(found != descriptions().end(), "nothing describes the layers of system \"{}\"", section.system);
  return found->second;
}

}  // namespace

Choice choice_of(const config::ModelSection& section, const Sizes& sizes) {
  return {.section = section, .tasks = config::tasks_of(config::system_of(section)), .sizes = sizes};
}

std::vector<Convolution> convolutions_of(const config::ModelSection& section, std::int64_t num_classes) {
  return description_of(section).convolutions(choice_of(section, num_classes));
}

std::vector<std::string> unread_in_files(const config::ModelSection& section) {
  const Unread unread = description_of(section).unread;
  return unread == nullptr ? std::vector<std::string>() : unread(choice_of(section, /*sizes=*/2));
}

std::string sized_by(const config::ModelSection& section) {
  const SizedBy by = description_of(section).sized_by;
  return by == nullptr ? std::string() : by(choice_of(section, /*sizes=*/2));
}

std::int64_t fewest_normed_pixels(const config::ModelSection& section, std::int64_t height, std::int64_t width) {
  std::int64_t fewest = height * width;
  for (const Convolution& layer : convolutions_of(section, /*num_classes=*/2)) {
    const auto [rows, columns] = layer.output_size(height, width);
    fewest = layer.norm.empty() ? fewest : std::min(fewest, rows * columns);
  }
  return fewest;
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
  check(descriptions().try_emplace(std::string(network), Description{describe}).second,
        "the layers of network \"{}\" are described already", network);
}

}  // namespace xtasc::net
