#include "train/weights.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "net/networks.hpp"
#include "net/resnet.hpp"
#include "task/task.hpp"
#include "train/prefixes.hpp"

namespace xtasc::train {

namespace {

using tensorfile::TensorDict;
using Targets = std::vector<std::pair<std::string, at::Tensor>>;

std::string shape_text(const at::Tensor& tensor) {
  return tensor.dim() == 0 ? "a single number" : fmt::format("{}", fmt::join(tensor.sizes(), " x "));
}

/// Collects what does not fit instead of stopping at the first. \param model  for the message, e.g. "the model"
void check_fit(const Targets& targets, const TensorDict& tensors, const std::string& source, const std::string& model) {
  std::vector<std::string> missing, other, left_over;
  std::set<std::string_view> known;
  for (const auto& [name, target] : targets) {
    known.insert(name);
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      missing.push_back(fmt::format("missing: {} ({})", name, shape_text(target)));
    } else if (found->second.sizes() != target.sizes()) {
      other.push_back(fmt::format("{} is {}, {} expected", name, shape_text(found->second), shape_text(target)));
    } else if (!found->second.is_floating_point()) {
      other.push_back(
          fmt::format("{} is of {}, a floating-point type expected", name, c10::toString(found->second.scalar_type())));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (!known.contains(name) && !name.ends_with("num_batches_tracked")) {
      left_over.push_back(fmt::format("left over: {} ({})", name, shape_text(tensor)));
    }
  }
  std::vector<std::string> faults = missing;
  faults.insert(faults.end(), other.begin(), other.end());
  faults.insert(faults.end(), left_over.begin(), left_over.end());
  if (!faults.empty()) {
    throw Error(fmt::format("{} does not fit {}: {} missing, {} of another shape or type, {} left over", source, model,
                            missing.size(), other.size(), left_over.size()),
                ExitCode::failure, faults);
  }
}

/// Without what the network's public code saves and no prediction depends on, which is said in one line.
TensorDict without_unread(const std::vector<std::string>& unread, const Targets& targets, TensorDict tensors,
                          const std::string& source) {
  std::set<std::string_view> wanted;
  std::ranges::transform(targets, std::inserter(wanted, wanted.end()), &Targets::value_type::first);
  std::set<std::string> left_out;
  std::erase_if(tensors, [&](const auto& named) {
    const std::string& name = named.first;
    const auto found = std::ranges::find_if(unread, [&name](const std::string& beginning) {
      return name == beginning || (beginning.ends_with('.') && name.starts_with(beginning));
    });
    if (wanted.contains(name) || found == unread.end()) {
      return false;
    }
    left_out.insert(found->ends_with('.') ? *found + "*" : *found);
    return true;
  });
  if (!left_out.empty()) {
    log_info("{}: {} not used: no prediction depends on them", source, fmt::join(left_out, ", "));
  }
  return tensors;
}

void copy(const Targets& targets, const TensorDict& tensors) {
  const c10::NoGradGuard no_grad;
  for (const auto& [name, target] : targets) {
    target.detach().copy_(tensors.at(name));
  }
}

Targets tensors_of(const model::Network& net) {
  Targets targets;
  for (const auto* tensors : {&net.parameters().parameters(), &net.parameters().buffers()}) {
    for (const auto& [name, tensor] : *tensors) {
      targets.emplace_back(name, tensor);
    }
  }
  return targets;
}

/// Public code saves a student without its adaptors, which no prediction needs: they stay as they are, which is said.
Targets without_absent_adaptors(const model::Network& net, Targets targets, const TensorDict& tensors,
                                const std::string& source) {
  const auto& parameters = net.parameters().parameters();
  std::set<std::string_view> adaptors;
  for (std::size_t i = parameters.size() - net.num_adaptors(); i < parameters.size(); ++i) {
    adaptors.insert(parameters[i].name);
  }
  const bool has_any =
      std::ranges::any_of(adaptors, [&](std::string_view name) { return tensors.contains(std::string(name)); });
  if (!adaptors.empty() && !has_any) {
    std::erase_if(targets, [&](const auto& named) { return adaptors.contains(named.first); });
    log_info("{}: no adaptors in it, they begin at random", source);
  }
  return targets;
}

/// The tensors of the set's encoder, without "encoder." before their names: as torchvision calls them.
Targets encoder_targets(const model::ParameterSet& set) {
  constexpr std::string_view kPrefix = "encoder.";
  Targets targets;
  for (const auto* tensors : {&set.parameters(), &set.buffers()}) {
    for (const auto& [name, tensor] : *tensors) {
      if (name.starts_with(kPrefix)) {
        targets.emplace_back(name.substr(kPrefix.size()), tensor);
      }
    }
  }
  return targets;
}

/// Which ResNet has blocks of these names, e.g. " (by its names it is a resnet34)"; empty when none has.
std::string guessed_encoder(const TensorDict& tensors) {
  std::array<std::size_t, 4> blocks{};
  for (std::size_t stage = 0; stage < blocks.size(); ++stage) {
    while (tensors.contains(fmt::format("layer{}.{}.conv1.weight", stage + 1, blocks[stage]))) {
      ++blocks[stage];
    }
  }
  const bool bottleneck = tensors.contains("layer1.0.conv3.weight");
  const auto names = config::names<config::Encoder>();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const net::ResNet layers = net::resnet("", static_cast<config::Encoder>(i), /*num_tasks=*/1);
    if (std::ranges::equal(layers.stages, blocks, {}, &std::vector<net::ResNet::Block>::size) &&
        (layers.stages[0][0].convolutions.size() == 3) == bottleneck) {
      return fmt::format(" (by its names it is a {})", names[i]);
    }
  }
  return "";
}

}  // namespace

std::int64_t num_classes_of(const config::ModelSection& model, const std::string& source, const TensorDict& tensors) {
  if (std::ranges::count(config::tasks_of(config::system_of(model)), task::Kind::classes, &task::Task::kind) == 0) {
    return 0;
  }
  constexpr std::int64_t kFew = 2;
  const std::vector<net::Convolution> few = net::convolutions_of(model, kFew);
  const std::vector<net::Convolution> more = net::convolutions_of(model, kFew + 1);
  for (std::size_t i = 0; i < few.size(); ++i) {
    const bool by_out = few[i].out != more.at(i).out;
    if (by_out || few[i].in != more.at(i).in) {
      const std::string name = few[i].name + ".weight";
      const auto found = tensors.find(name);
      check(found != tensors.end() && found->second.dim() == 4,
            "{}: {} is missing, by which the number of classes is known: not weights of {}", source, name,
            model.system);
      return by_out ? found->second.size(0) - (few[i].out - kFew) : found->second.size(1) - (few[i].in - kFew);
    }
  }
  fail("no layer of system \"{}\" depends on the number of classes", model.system);
}

net::Sizes sizes_of(const config::ModelSection& model, const std::string& source, const TensorDict& tensors) {
  net::Sizes sizes = num_classes_of(model, source, tensors);
  if (const std::string name = net::sized_by(model); !name.empty()) {
    const auto found = tensors.find(name);
    check(found != tensors.end() && found->second.dim() == 4,
          "{}: {} is missing, by which the size of the images is known: not weights of {}", source, name, model.system);
    sizes.slots = found->second.size(0);
    sizes.height = found->second.size(2);
    sizes.width = found->second.size(3);
  }
  return sizes;
}

void check_network_weights(const model::Network& net, const std::string& source, const TensorDict& tensors,
                           const std::string& name) {
  const Targets targets = tensors_of(net);
  check_fit(targets, without_unread(net.unread_in_files(), targets, tensors, source), source, name);
}

void load_network_weights(const model::Network& net, const std::string& source, const TensorDict& tensors) {
  check_network_weights(net, source, tensors, "the model");
  copy(tensors_of(net), tensors);
}

void load_weights(const Learner& learner, const std::string& source, const TensorDict& tensors) {
  const Targets targets = without_absent_adaptors(learner.net, learner.weights(), tensors, source);
  check_fit(targets, without_unread(learner.net.unread_in_files(), targets, tensors, source), source, "the model");
  copy(targets, tensors);
}

EncoderWeights read_encoder_weights(const model::ParameterSet& set, const config::ModelSection& model) {
  tensorfile::TensorFile file = tensorfile::read_tensor_file(model.encoder_weights);
  EncoderWeights weights;
  weights.note = fmt::format("{}: {}", model.encoder_weights, tensorfile::format_name(file.format));
  if (!file.wrapper.empty()) {
    weights.note += fmt::format(", the tensors in \"{}\"", file.wrapper);
  }
  if (!file.beside.empty()) {
    weights.note += fmt::format(", those in \"{}\" not used", fmt::join(file.beside, "\", \""));
  }
  const Targets targets = encoder_targets(set);
  std::vector<std::string> wanted;
  std::ranges::transform(targets, std::back_inserter(wanted), &Targets::value_type::first);
  const Prefix prefix = strip_prefix(file, wanted, model.encoder_weights);
  std::string source = model.encoder_weights;
  if (!prefix.text.empty()) {
    weights.note += fmt::format(", \"{}\" left off the names", prefix.text);
    source += fmt::format(" (\"{}\" left off the names)", prefix.text);
  }
  if (!prefix.outside.empty()) {
    std::ranges::for_each(prefix.outside, [&](const std::string& name) { file.tensors.erase(name); });
    weights.note += fmt::format(", {} tensors not below it not used", prefix.outside.size());
  }
  if (std::erase_if(file.tensors, [](const auto& named) { return named.first.starts_with("fc."); }) > 0) {
    weights.note += ", fc.* not used";
  }
  check_fit(targets, file.tensors, source,
            fmt::format("model.encoder = \"{}\"{}", config::name(model.encoder), guessed_encoder(file.tensors)));
  for (const auto& [name, target] : targets) {
    const at::Tensor& tensor = file.tensors.at(name);
    check(at::isfinite(tensor).all().item<bool>(), "{}: {} has NaN or infinite numbers", model.encoder_weights, name);
    weights.tensors.emplace("encoder." + name, tensor);
  }
  return weights;
}

void load_encoder_weights(const Learner& learner, const config::ModelSection& model) {
  const EncoderWeights weights = read_encoder_weights(learner.net.parameters(), model);
  Targets targets = learner.weights();
  std::erase_if(targets, [&](const auto& target) { return !weights.tensors.contains(target.first); });
  copy(targets, weights.tensors);
  log_info("encoder weights from {}", weights.note);
}

}  // namespace xtasc::train
