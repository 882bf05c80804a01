#include <ATen/ATen.h>
#include <fmt/format.h>

#include <map>

#include "core/error.hpp"
#include "core/text_table.hpp"
#include "launch/inspect/inspect.hpp"
#include "model/network.hpp"
#include "net/networks.hpp"
#include "pack/reader.hpp"
#include "tensorfile/tensor_file.hpp"
#include "train/checkpoint.hpp"
#include "train/weights.hpp"

namespace xtasc::launch {

namespace {

/// "encoder.layer1.0.conv1.weight" -> "encoder.layer1"
std::string group_of(const std::string& name) {
  const auto first = name.find('.');
  const auto second = name.find('.', first + 1);
  return name.substr(0, second);
}

/// A line for each tensor. \returns their number and that of their elements, in words
std::string print_tensors(const tensorfile::TensorDict& tensors) {
  std::int64_t elements = 0;
  std::vector<std::vector<std::string>> cells;
  for (const auto& [name, tensor] : tensors) {
    cells.push_back({name, fmt::format("{}", fmt::join(tensor.sizes(), " x ")), c10::toString(tensor.scalar_type())});
    elements += tensor.numel();
  }
  fmt::print("{}", text_table(cells));
  return fmt::format("{} tensors, {} elements", tensors.size(), elements);
}

}  // namespace

void inspect_model(const config::RunConfig& config, std::int64_t num_classes) {
  constexpr std::int64_t kHeight = 128;  // the paper's, of Cityscapes: few networks depend on it
  constexpr std::int64_t kWidth = 256;
  // The meta device has shapes and no memory: the largest net is there at once.
  const net::Sizes sizes(num_classes, kHeight, kWidth, config.train.batch_size);
  const auto net = model::make_network(config.model, sizes, 0, at::kMeta, at::kFloat);
  const auto& set = net->parameters();
  fmt::print("{} {}, {} classes{}\n\n", config.model.system, config::encoder_of(config.model), num_classes,
             net::sized_by(config.model).empty() ? "" : fmt::format(", images of {} x {}", kHeight, kWidth));
  std::vector<std::string> order;
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> groups;
  for (const auto& [name, tensor] : set.parameters()) {
    const std::string group = group_of(name);
    if (!groups.contains(group)) {
      order.push_back(group);
    }
    groups[group].first += 1;
    groups[group].second += tensor.numel();
  }
  std::vector<std::vector<std::string>> cells = {{"part", "tensors", "parameters"}};
  for (const std::string& group : order) {
    cells.push_back({group, std::to_string(groups[group].first), std::to_string(groups[group].second)});
  }
  cells.emplace_back();
  const auto add = [&](const std::string& what, std::int64_t count) {
    cells.push_back({what, "", std::to_string(count)});
  };
  std::vector<std::string> parts;  // up to the first dot, in order
  for (const auto& [name, tensor] : set.parameters()) {
    if (const std::string part = name.substr(0, name.find('.')); parts.empty() || parts.back() != part) {
      parts.push_back(part);
    }
  }
  for (const std::string& part : parts) {
    add(part, set.num_parameters(part + "."));
  }
  std::int64_t transfer = 0;
  for (const net::Convolution& layer : net::convolutions_of(config.model, num_classes)) {
    transfer += layer.part == net::Part::transfer_nets ? layer.num_parameters() : 0;
  }
  add("all, trainable", set.num_parameters());
  add("direct only (inference)", set.num_parameters() - transfer);
  fmt::print("{}", text_table(cells, 1));
  if (!config.model.encoder_weights.empty()) {
    const train::EncoderWeights weights = train::read_encoder_weights(set, config.model);
    fmt::print("\nencoder weights from {}: all {} tensors fit\n", weights.note, weights.tensors.size());
  }
}

void inspect_layers(const config::RunConfig& config, std::int64_t num_classes, std::int64_t height,
                    std::int64_t width) {
  if (height % 32 != 0 || width % 32 != 0) {
    fail_usage("--layers {} {}: height and width must be multiples of 32", height, width);
  }
  std::vector<std::vector<std::string>> cells = {
      {"layer", "in", "out", "kernel", "stride", "output", "part", "tasks", "parameters", "multiply-adds"}};
  std::int64_t parameters = 0;
  double multiply_adds = 0.0;
  for (const net::Convolution& layer : net::convolutions_of(config.model, num_classes)) {
    const auto [rows, columns] = layer.output_size(height, width);
    cells.push_back(
        {layer.name, fmt::format("{}", layer.in), fmt::format("{}", layer.out),
         fmt::format("{0} x {0}{1}", layer.kernel, layer.dilation > 1 ? fmt::format(" at {}", layer.dilation) : ""),
         fmt::format("{}", layer.stride), fmt::format("{} x {}", rows, columns), std::string(net::name(layer.part)),
         layer.reached_by * layer.uses > 1 ? "all" : "one", fmt::format("{}", layer.num_parameters()),
         fmt::format("{:.0f}", layer.multiply_adds(height, width))});
    parameters += layer.num_parameters();
    multiply_adds += layer.multiply_adds(height, width);
  }
  const net::Sizes sizes(num_classes, height, width, config.train.batch_size);
  const auto net = model::make_network(config.model, sizes, 0, at::kMeta, at::kFloat);
  if (const std::int64_t others = net->parameters().num_parameters() - parameters; others > 0) {
    cells.push_back({"of no convolution", "", "", "", "", "", "", "", fmt::format("{}", others)});
    parameters += others;
  }
  cells.push_back(
      {"all", "", "", "", "", "", "", "", fmt::format("{}", parameters), fmt::format("{:.0f}", multiply_adds)});
  fmt::print("{}", text_table(cells));
}

void inspect_pack(const std::filesystem::path& path) {
  const pack::Reader reader(path);
  const pack::Schema& s = reader.schema();
  fmt::print("{}\n  dataset        {}\n  size           {} x {} (height x width)\n", path.string(), s.dataset, s.height,
             s.width);
  for (const pack::Split split : {pack::Split::train, pack::Split::val}) {
    fmt::print("  {:<14} {} samples\n", pack::split_name(split), reader.size(split));
  }
  for (const pack::LabelSet& set : s.label_sets) {
    fmt::print("  {:<14} {} classes: {}\n", set.name, set.class_names.size(), fmt::join(set.class_names, ", "));
  }
  if (s.has_normals()) {
    fmt::print("  normals        {}\n", s.normals);
  }
  fmt::print(
      "  depth          {}, {}, scale {}, largest {}\n  resize         {}\n  source         {}\n  created        {} by "
      "{}\n"
      "  digest         {}\n",
      pack::depth_kind_name(s.depth_kind), s.depth_type == pack::DepthType::uint16 ? "uint16" : "float32",
      s.depth_scale, s.depth_max, s.resize, s.source, s.created, s.tool_version, s.content_digest);
}

void inspect_checkpoint(const std::filesystem::path& path) {
  if (std::filesystem::exists(path) && !std::filesystem::is_directory(path)) {
    const auto file = tensorfile::read_tensor_file(path);
    fmt::print("{}\n\n", tensorfile::format_name(file.format));
    const std::string sum = print_tensors(file.tensors);
    fmt::print("\n{}{}\n", sum, file.wrapper.empty() ? "" : fmt::format(" in \"{}\"", file.wrapper));
    return;
  }
  const train::Checkpoint checkpoint(path);
  static_cast<void>(checkpoint.verify());
  fmt::print("{}\n\n", checkpoint.description());
  const std::string sum = print_tensors(checkpoint.weights());
  fmt::print("\n{}; checksums agree\n", sum);
}

}  // namespace xtasc::launch
