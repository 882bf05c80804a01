#include "deploy/onnx_model.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/jit/ir/ir.h>

#include <limits>

#include "core/error.hpp"
#include "core/version.hpp"
#include "deploy/onnx_graph.hpp"

namespace xtasc::deploy {

namespace {

constexpr std::int64_t kIrVersion = 8;
constexpr std::int64_t kOpset = 17;

/// A tensor whose first side is the batch's, of any size.
void describe(onnx::ValueInfoProto& info, const std::string& name, at::ScalarType type,
              const std::vector<std::int64_t>& shape_of_one) {
  info.set_name(name);
  onnx::TypeProto::Tensor& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(onnx_type(type));
  tensor.mutable_shape()->add_dim()->set_dim_param("batch");
  for (const std::int64_t side : shape_of_one) {
    tensor.mutable_shape()->add_dim()->set_dim_value(side);
  }
}

void check_fits(const Recording& recording) {
  std::size_t bytes = 0;
  for (const model::NamedTensor& weight : recording.weights) {
    bytes += weight.tensor.nbytes();
  }
  constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max();  // protobuf's for one message
  check(bytes < kMost - kMost / 64,
        "ONNX: the weights take {:.2f} GB, a file holds less than 2: --format torch takes them",
        static_cast<double>(bytes) * 1e-9);
}

}  // namespace

std::string onnx_bytes(const Recording& recording, const Metadata& metadata) {
  check_fits(recording);
  const torch::jit::Graph& graph = *recording.graph;
  onnx::ModelProto model;
  model.set_ir_version(kIrVersion);
  model.set_producer_name("xtasc-export");
  model.set_producer_version(source_version().version);
  onnx::OperatorSetIdProto& opset = *model.add_opset_import();
  opset.set_domain("");
  opset.set_version(kOpset);
  for (const auto& [key, value] : metadata) {
    onnx::StringStringEntryProto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  model.mutable_graph()->set_name("xtasc");
  OnnxGraph made(*model.mutable_graph());
  made.call(graph.inputs()[0], "image");
  const std::vector<std::int64_t> image = recording.form.shape(1);
  describe(*model.mutable_graph()->add_input(), "image", recording.form.input == Input::uint8 ? at::kByte : at::kFloat,
           {image.begin() + 1, image.end()});
  for (std::size_t i = 0; i < recording.weights.size(); ++i) {
    made.call(graph.inputs()[i + 1], recording.weights[i].name);
    made.add_initializer(recording.weights[i].name, recording.weights[i].tensor);
  }
  for (std::size_t i = 0; i < recording.outputs.size(); ++i) {
    const auto& [name, shape, type] = recording.outputs[i];
    check(!made.is_called(graph.outputs()[i]), "ONNX: {} is another output or input of the network", name);
    made.call(graph.outputs()[i], name);
    describe(*model.mutable_graph()->add_output(), name, type, shape);
  }
  for (const torch::jit::Node* node : graph.nodes()) {
    add_operator(*node, made);
  }
  std::string bytes;
  check(model.SerializeToString(&bytes), "ONNX: the file would be larger than 2 GB");
  return bytes;
}

}  // namespace xtasc::deploy
