#include "deploy/recording.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/common_subexpression_elimination.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "core/error.hpp"
#include "deploy/values.hpp"
#include "model/unit_vectors.hpp"
#include "task/task.hpp"

namespace xtasc::deploy {

namespace {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

/// (value / 255 - mean) / deviation as value * scale + shift.
struct Normalisation {
  explicit Normalisation(const ImageForm& form) {
    const auto of_channels = [](const std::array<double, 3>& values) {
      return at::tensor(at::ArrayRef<double>(values), at::kDouble).view({1, 3, 1, 1});
    };
    const at::Tensor deviation = of_channels(form.deviation);
    scale = (255.0 * deviation).reciprocal().to(at::kFloat);
    shift = (-of_channels(form.mean) / deviation).to(at::kFloat);
  }

  at::Tensor scale, shift;  ///< (1, 3, 1, 1) float32
};

void add_results(const task::Task& task, const at::Tensor& prediction, std::vector<model::NamedTensor>& results) {
  const std::string key(task.key);
  switch (task.kind) {
    case task::Kind::classes:
      results.push_back({key + "_label", prediction.argmax(1).to(at::kByte)});
      results.push_back({key + "_probability", prediction.softmax(1)});
      return;
    case task::Kind::depth:
      results.push_back({key, prediction});
      return;
    case task::Kind::unit_vector:
      results.push_back({key, model::unit_vectors(prediction)});
      return;
  }
  fail("unknown kind of task {}", static_cast<int>(task.kind));
}

/// Nodes that hand on what they are given: casts to the type that is there, and orders of memory.
void leave_out_identities(Graph& graph) {
  for (Node* node : graph.nodes()) {
    const bool is_layout = node->kind() == c10::aten::contiguous || node->kind() == c10::aten::detach;
    if (is_layout || (node->kind() == c10::aten::to && type_of(node->input(0)) == type_of(node->output()))) {
      node->output()->replaceAllUsesWith(node->input(0));
    }
  }
}

struct Traced {
  std::shared_ptr<Graph> graph;
  std::vector<Output> outputs;
};

std::vector<model::NamedTensor> compute(const model::Network& net, const at::Tensor& image, const ImageForm& form,
                                        const Normalisation& normalisation) {
  at::Tensor x = image;
  if (form.input == Input::uint8) {
    x = x.permute({0, 3, 1, 2}).to(at::kFloat) * normalisation.scale + normalisation.shift;
  }
  const model::Predictions predictions = net.forward_direct(x, {.training = false, .compute = at::kFloat});
  std::vector<model::NamedTensor> results;
  for (const task::Task& task : net.tasks()) {
    add_results(task, predictions.of(task.key), results);
  }
  return results;
}

/// Of one image: its 1 is copied nowhere, since no network asks how many images there are.
Traced trace(const model::Network& net, const ImageForm& form, const Normalisation& normalisation) {
  const at::Tensor image = at::zeros(form.shape(1), form.input == Input::uint8 ? at::kByte : at::kFloat);
  Traced traced;
  const auto recorded = [&](const torch::jit::Stack& inputs) {
    // It warns of operators that overwrite what others read. The graph has their forms that do not.
    const torch::jit::tracer::NoWarn no_warnings;
    torch::jit::Stack stack;
    for (const model::NamedTensor& result : compute(net, inputs[0].toTensor(), form, normalisation)) {
      traced.outputs.push_back({result.name, result.tensor.sizes().slice(1).vec(), result.tensor.scalar_type()});
      stack.emplace_back(result.tensor);
    }
    return stack;
  };
  const auto no_name = [](const at::Tensor& /*tensor*/) { return std::string(); };
  traced.graph = torch::jit::tracer::trace({image}, recorded, no_name, /*strict=*/true, /*force_outplace=*/true,
                                           /*self=*/nullptr, {"image"})
                     .first->graph;
  torch::jit::ConstantPropagation(traced.graph);
  leave_out_identities(*traced.graph);
  torch::jit::EliminateCommonSubexpression(traced.graph);
  torch::jit::EliminateDeadCode(traced.graph);
  return traced;
}

bool is_tensor_constant(const Node* node) {
  return node->kind() == c10::prim::Constant && node->hasAttribute(c10::attr::value) &&
         node->kindOf(c10::attr::value) == torch::jit::AttributeKind::t;
}

/// The constant of one dimension or more that a value is; undefined for others.
at::Tensor constant_of(const Value* value) {
  const at::Tensor tensor = is_tensor_constant(value->node()) ? value->node()->t(c10::attr::value) : at::Tensor();
  return tensor.defined() && tensor.dim() > 0 ? tensor : at::Tensor();
}

std::vector<Node*> convolutions(Graph& graph) {
  std::vector<Node*> nodes;
  std::ranges::copy_if(graph.nodes(), std::back_inserter(nodes),
                       [](const Node* node) { return node->kind() == c10::Symbol::aten("_convolution"); });
  return nodes;
}

/// Names for the tensors of a graph: of those that lie within a tensor of the network, its own.
class Names {
 public:
  Names(const model::ParameterSet& set, const Normalisation& normalisation) {
    const std::vector<model::NamedTensor> own = {{"normalisation.scale", normalisation.scale},
                                                 {"normalisation.shift", normalisation.shift}};
    for (const auto* tensors : {&set.parameters(), &set.buffers(), &own}) {
      for (const model::NamedTensor& named : *tensors) {
        by_place_.emplace(bytes_of(named.tensor), named);
      }
    }
  }

  /// Empty where it is none of the network's.
  [[nodiscard]] std::string of(const at::Tensor& tensor) const {
    const auto next = by_place_.upper_bound(bytes_of(tensor));
    if (next == by_place_.begin()) {
      return {};
    }
    const auto& [begin, named] = *std::prev(next);
    return bytes_of(tensor) < begin + named.tensor.nbytes() ? named.name : "";
  }

 private:
  static const char* bytes_of(const at::Tensor& tensor) { return static_cast<const char*>(tensor.const_data_ptr()); }

  std::map<const char*, model::NamedTensor> by_place_;
};

/// Makes inputs of the graph's weights, in the order of their use. Folded ones are new tensors: `unfolded` has the same
/// convolutions with the network's own. A folded convolution has a bias, also where the network's has none.
std::vector<model::NamedTensor> lift_weights(Graph& graph, Graph& unfolded, const Names& names) {
  const std::vector<Node*> before = convolutions(unfolded), after = convolutions(graph);
  check(before.size() == after.size(), "the network has {} convolutions, with folded batch norms {}", before.size(),
        after.size());
  std::map<const Value*, std::string> folded;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const std::string weight = names.of(constant_of(before[i]->input(1)));
    folded.emplace(after[i]->input(1), weight);
    folded.emplace(after[i]->input(2), weight.substr(0, weight.rfind('.')) + ".bias");
  }
  std::vector<model::NamedTensor> weights;
  std::set<std::string> taken;
  for (Node* node : graph.nodes()) {
    for (Value* value : node->inputs()) {
      const at::Tensor tensor = constant_of(value);
      if (!tensor.defined()) {
        continue;
      }
      const auto found = folded.find(value);
      const std::string own = found != folded.end() ? found->second : names.of(tensor);
      const std::string name = own.empty() ? "constant" : own;
      std::string unique = name;
      for (int k = 2; !taken.insert(unique).second; ++k) {
        unique = fmt::format("{}_{}", name, k);
      }
      // A copy: a view would bring the storage of all of the network's parameters into a file.
      weights.push_back({unique, tensor.clone(at::MemoryFormat::Contiguous)});
      value->replaceAllUsesWith(graph.addInput()->setType(value->type()));
    }
  }
  torch::jit::EliminateDeadCode(graph.block());
  for (Node* node : graph.nodes()) {
    if (is_tensor_constant(node)) {  // a single number, as Cross-Stitch's factors are
      node->t_(c10::attr::value, node->t(c10::attr::value).clone());
    }
  }
  return weights;
}

}  // namespace

at::ScalarType type_of(const Value* value) {
  return value->type()->expectRef<c10::TensorType>().scalarType().value();
}

std::vector<std::int64_t> sizes_of(const Value* value) {
  return value->type()->expectRef<c10::TensorType>().sizes().concrete_sizes().value();
}

std::vector<std::int64_t> ImageForm::shape(std::int64_t num_images) const {
  return input == Input::uint8 ? std::vector<std::int64_t>{num_images, height, width, 3}
                               : std::vector<std::int64_t>{num_images, 3, height, width};
}

std::vector<model::NamedTensor> results_of(const model::Network& net, const at::Tensor& image, const ImageForm& form) {
  const c10::NoGradGuard no_grad;
  return compute(net, image, form, Normalisation(form));
}

Recording record(const model::Network& net, const ImageForm& form) {
  const c10::NoGradGuard no_grad;
  const std::unique_ptr<model::Network> folded = net.folded();
  const Normalisation normalisation(form);
  Traced traced = trace(*folded, form, normalisation);
  const Traced unfolded = trace(net, form, normalisation);
  auto weights = lift_weights(*traced.graph, *unfolded.graph, Names(net.parameters(), normalisation));
  return {traced.graph, form, traced.outputs, std::move(weights)};
}

}  // namespace xtasc::deploy
