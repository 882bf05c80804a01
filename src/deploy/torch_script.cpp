#include "deploy/torch_script.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/shape_analysis.h>
#include <torch/csrc/jit/serialization/export.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.hpp"
#include "tensorfile/zip_bytes.hpp"

namespace xtasc::deploy {

namespace {

namespace jit = torch::jit;

/// A module that grows by the names of its tensors: "encoder.conv1.weight" is `weight` of `conv1` of `encoder`.
class ModuleTree {
 public:
  /// Adds a parameter, and gives `self` the type that the root then has. \returns the way to it from the root
  std::vector<std::string> add(const model::NamedTensor& weight, jit::Value* self) {
    std::vector<std::string> path;
    std::istringstream steps(weight.name);
    for (std::string step; std::getline(steps, step, '.');) {
      path.push_back(step);
    }
    jit::Module module = root_;
    std::string type = kRoot;
    for (std::size_t i = 0; i + 1 < path.size(); ++i) {
      type += "_" + path[i];
      if (!module.hasattr(path[i])) {
        module.register_module(path[i], make(type));
      }
      module = module.attr(path[i]).toModule();
    }
    module.register_parameter(path.back(), weight.tensor, /*is_buffer=*/false);
    self->setType(root_.type());
    return path;
  }

  /// The module that computes the graph, whose first input is the root.
  [[nodiscard]] jit::Module with_forward(const std::shared_ptr<jit::Graph>& graph) {
    const c10::QualifiedName name(*root_.type()->name(), "forward");
    root_.type()->addMethod(unit_->create_function(name, graph));
    return root_;
  }

 private:
  static constexpr const char* kRoot = "__torch__.xtasc";

  [[nodiscard]] jit::Module make(const std::string& type) const {
    jit::Module module(c10::QualifiedName(type), unit_);
    module.register_attribute("training", c10::BoolType::get(), false);  // eval() and train() set it
    return module;
  }

  std::shared_ptr<jit::CompilationUnit> unit_ = std::make_shared<jit::CompilationUnit>();
  jit::Module root_ = make(kRoot);
};

/// The outputs of a graph as one dictionary by their names.
void return_dictionary(jit::Graph& graph, const std::vector<Output>& outputs) {
  std::vector<jit::Value*> keys, values;
  const jit::WithInsertPoint at_end(graph.return_node());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    keys.push_back(graph.insertConstant(outputs[i].name));
    values.push_back(graph.outputs()[i]);
  }
  jit::Node* dictionary =
      graph.insertNode(graph.createDict(c10::StringType::get(), c10::TensorType::get(), keys, values));
  while (!graph.outputs().empty()) {
    graph.eraseOutput(graph.outputs().size() - 1);
  }
  graph.registerOutput(dictionary->output());
}

/// The recorded graph with its weights.
jit::Module module_of(const Recording& recording) {
  const std::shared_ptr<jit::Graph> graph = recording.graph->copy();
  jit::EraseShapeInformation(graph);
  ModuleTree tree;
  jit::Value* self = graph->insertInput(0, "self");
  {
    const jit::WithInsertPoint at_begin(*graph->nodes().begin());
    for (std::size_t i = 0; i < recording.weights.size(); ++i) {
      jit::Value* value = self;
      for (const std::string& step : tree.add(recording.weights[i], self)) {
        value = graph->insertGetAttr(value, step);
      }
      graph->inputs()[i + 2]->replaceAllUsesWith(value);
    }
  }
  while (graph->inputs().size() > 2) {
    graph->eraseInput(graph->inputs().size() - 1);
  }
  return_dictionary(*graph, recording.outputs);
  return tree.with_forward(graph);
}

/// What the interpreter computes. \throws Error with the reason alone, of its whole traceback the last line
c10::IValue results_of_recorded(const Recording& recording, const at::Tensor& images) {
  jit::Module module = module_of(recording);
  try {
    return module.forward({images});
  } catch (const std::runtime_error& error) {
    std::string_view text = error.what();
    text.remove_suffix(text.size() - (text.find_last_not_of(" \n") + 1));
    fail("the recorded network: {}", text.substr(text.rfind('\n') + 1));
  }
}

/// Two images of no regularity that the network would see.
at::Tensor made_images(const ImageForm& form) {
  const std::vector<std::int64_t> shape = form.shape(2);
  const at::Tensor values = at::arange(c10::multiply_integers(shape), at::kDouble).mul_(0.7548776662466927).frac_();
  return (form.input == Input::uint8 ? values.mul_(255.0).to(at::kByte) : values.sub_(0.5).to(at::kFloat)).view(shape);
}

}  // namespace

std::string torch_script_bytes(const Recording& recording, const Metadata& metadata) {
  const auto module = module_of(recording);
  const torch::jit::ExtraFilesMap files = {{"metadata.json", nlohmann::json(metadata).dump(2)}};
  std::size_t num_bytes = std::size_t{1} << 20;
  for (const model::NamedTensor& weight : recording.weights) {
    num_bytes += weight.tensor.nbytes();
  }
  return tensorfile::zip_bytes(num_bytes,
                               [&](const tensorfile::ZipSink& sink) { torch::jit::ExportModule(module, sink, files); });
}

void check_recording(const Recording& recording, const model::Network& net) {
  const c10::NoGradGuard no_grad;
  const at::Tensor images = made_images(recording.form);
  const c10::IValue results = results_of_recorded(recording, images);
  std::map<std::string, std::vector<at::Tensor>> expected;
  for (const at::Tensor& image : images.split(1)) {
    for (const auto& [name, tensor] : results_of(net, image, recording.form)) {
      expected[name].push_back(tensor);
    }
  }
  for (const Output& output : recording.outputs) {
    if (!c10::isFloatingType(output.type)) {
      continue;  // follows from another output, and jumps where that is even
    }
    const at::Tensor found = results.toGenericDict().at(output.name).toTensor();
    std::int64_t image = 0;
    for (const at::Tensor& truth : expected.at(output.name)) {
      // Half of an image's pixels, not all: where a pool has two values that are equal but for rounding, those that an
      // unpooling puts there jump.
      const at::Tensor differences = (found.narrow(0, image++, 1) - truth).abs();
      const double error = (differences.median() / truth.abs().mean()).item<double>();
      check(error < 1e-4,
            "{} of the recorded network differs from the network's by {:.2g} of its size: it cannot be exported",
            output.name, error);
    }
  }
}

}  // namespace xtasc::deploy
