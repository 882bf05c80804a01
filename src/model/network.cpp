#include "model/network.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "model/nets/adamt.hpp"
#include "model/nets/cross_stitch.hpp"
#include "model/nets/deeplab.hpp"
#include "model/nets/dense.hpp"
#include "model/nets/kd4mtl.hpp"
#include "model/nets/mtan.hpp"
#include "model/nets/segnet.hpp"
#include "model/nets/xtasc.hpp"

namespace xtasc::model {

namespace {

/// What makes a network, by the word that the systems' rows have for it.
std::map<std::string, MakeNetwork, std::less<>>& makers() {
  static std::map<std::string, MakeNetwork, std::less<>> rows = {
      {"xtasc", make_xtasc_net},
      {"segnet", make_segnet},
      {"mtan", [](const NetworkOptions& options) { return make_mtan(options); }},
      {"kd4mtl", make_kd4mtl},
      {"adamt", make_adamt},
      {"deeplab", make_deeplab},
      {"dense", make_dense},
      {"cross_stitch", make_cross_stitch}};
  return rows;
}

}  // namespace

at::Tensor Predictions::of(std::string_view task) const {
  const auto found = direct.find(task);
  return found == direct.end() ? at::Tensor() : found->second;
}

at::Tensor Predictions::of(std::string_view from, std::string_view to) const {
  const auto found = std::ranges::find_if(
      transferred, [&](const Transferred& one) { return one.transfer.from == from && one.transfer.to == to; });
  return found == transferred.end() ? at::Tensor() : found->tensor;
}

std::vector<NamedTensor> Predictions::named() const {
  std::vector<NamedTensor> all;
  for (const task::Task& task : task::all()) {
    if (const at::Tensor prediction = of(task.key); prediction.defined()) {
      all.push_back({std::string(task.key), prediction});
    }
  }
  for (const Transferred& one : transferred) {
    all.push_back({one.transfer.name(), one.tensor});
  }
  return all;
}

Predictions Predictions::detached() const {
  Predictions result = *this;
  for (auto& [task, tensor] : result.direct) {
    tensor = tensor.detach();
  }
  for (Transferred& one : result.transferred) {
    one.tensor = one.tensor.detach();
  }
  result.features.clear();
  return result;
}

Network::Network(const net::Choice& choice, ParameterSet parameters)
    : tasks_(choice.tasks),
      num_classes_(choice.sizes.num_classes),
      unread_(net::unread_in_files(choice.section)),
      parameters_(std::move(parameters)) {
  const bool has_classes = std::ranges::any_of(tasks_, [](const task::Task& task) { return task.channels == 0; });
  check(!has_classes || num_classes_ >= 2, "segmentation needs at least 2 classes, found {}", num_classes_);
}

void Network::check_image(const at::Tensor& image_n3hw) {
  check(
      image_n3hw.dim() == 4 && image_n3hw.size(1) == 3 && image_n3hw.size(2) % 32 == 0 && image_n3hw.size(3) % 32 == 0,
      "images must be N x 3 x H x W with H and W multiples of 32, found {}", fmt::join(image_n3hw.sizes(), " x "));
}

std::unique_ptr<Network> make_network(const config::ModelSection& section, const net::Sizes& sizes, std::uint64_t seed,
                                      at::Device device, at::ScalarType dtype) {
  const auto found = makers().find(config::system_of(section).network);
  check(found != makers().end(), "nothing makes the network of system \"{}\"", section.system);
  return found->second({.choice = net::choice_of(section, sizes), .seed = seed, .device = device, .dtype = dtype});
}

void add_network(std::string_view network, MakeNetwork make) {
  check(makers().emplace(network, make).second, "there is a network \"{}\" already", network);
}

}  // namespace xtasc::model
