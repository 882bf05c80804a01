#include "deploy/onnx_graph.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>

#include "core/error.hpp"

namespace xtasc::deploy {

namespace {

onnx::AttributeProto attribute_of(const std::string& name, const OnnxAttribute& value) {
  onnx::AttributeProto attribute;
  attribute.set_name(name);
  if (const auto* number = std::get_if<std::int64_t>(&value)) {
    attribute.set_type(onnx::AttributeProto::INT);
    attribute.set_i(*number);
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    attribute.set_type(onnx::AttributeProto::STRING);
    attribute.set_s(*text);
  } else {
    const auto& numbers = std::get<std::vector<std::int64_t>>(value);
    attribute.set_type(onnx::AttributeProto::INTS);
    attribute.mutable_ints()->Assign(numbers.begin(), numbers.end());
  }
  return attribute;
}

}  // namespace

onnx::TensorProto::DataType onnx_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return onnx::TensorProto::FLOAT;
    case at::kByte:
      return onnx::TensorProto::UINT8;
    case at::kLong:
      return onnx::TensorProto::INT64;
    default:
      fail("ONNX: no exported network has tensors of {}", c10::toString(type));
  }
}

std::string OnnxGraph::name_of(const torch::jit::Value* value) {
  if (const auto found = names_.find(value); found != names_.end()) {
    return found->second;
  }
  const std::optional<c10::IValue> constant = torch::jit::toIValue(value);
  check(constant && (constant->isTensor() || constant->isScalar()), "ONNX: nothing has made %{}", value->debugName());
  // A number in an expression takes the type of the tensor beside it, which is float32 wherever there are numbers.
  const std::string name = add_constant(constant->isTensor() ? constant->toTensor().to(at::kFloat)
                                                             : at::scalar_tensor(constant->toScalar(), at::kFloat));
  call(value, name);
  return name;
}

void OnnxGraph::add_initializer(const std::string& name, const at::Tensor& tensor) {
  const at::Tensor dense = tensor.contiguous();
  onnx::TensorProto& initializer = *graph_.add_initializer();
  initializer.set_name(name);
  initializer.mutable_dims()->Assign(dense.sizes().begin(), dense.sizes().end());
  initializer.set_data_type(onnx_type(dense.scalar_type()));
  initializer.set_raw_data(dense.const_data_ptr(), dense.nbytes());
}

std::string OnnxGraph::add_constant(const at::Tensor& tensor) {
  std::string name = fmt::format("constant.{}", graph_.initializer_size());
  add_initializer(name, tensor);
  return name;
}

void OnnxGraph::add(std::string_view type, const torch::jit::Node& node, const std::vector<std::string>& inputs,
                    const OnnxAttributes& attributes) {
  onnx::NodeProto& made = *graph_.add_node();
  made.set_name(fmt::format("{}.{}", type, graph_.node_size() - 1));
  made.set_op_type(std::string(type));
  made.mutable_input()->Assign(inputs.begin(), inputs.end());
  for (const torch::jit::Value* value : node.outputs()) {
    if (!value->hasUses() && value->offset() > 0) {
      continue;
    }
    if (!is_called(value)) {
      call(value, value->offset() == 0 ? made.name() : fmt::format("{}.{}", made.name(), value->offset()));
    }
    made.add_output(name_of(value));
  }
  for (const auto& [name, value] : attributes) {
    *made.add_attribute() = attribute_of(name, value);
  }
}

}  // namespace xtasc::deploy
