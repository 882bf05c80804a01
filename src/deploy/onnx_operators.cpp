#include <ATen/ATen.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>

#include <algorithm>
#include <array>

#include "core/error.hpp"
#include "deploy/onnx_graph.hpp"
#include "deploy/values.hpp"

// What ATen's operators are in ONNX: https://github.com/onnx/onnx/blob/v1.12.0/docs/Operators.md (opset 17). One row
// each, at the end.
namespace xtasc::deploy {

namespace {

using torch::jit::Node;
using torch::jit::Value;
using Numbers = std::vector<std::int64_t>;

/// The operator's name and what is not translated, where that does not hold.
void require(bool holds, const Node& node, std::string_view what) {
  check(holds, "ONNX: {} {} is not translated", node.kind().toQualString(), what);
}

/// The constant that an argument is.
c10::IValue argument(const Node& node, std::size_t index) {
  const std::optional<c10::IValue> value = torch::jit::toIValue(node.input(index));
  require(value.has_value(), node, fmt::format("with an argument {} that is computed", index));
  return *value;
}

std::int64_t integer(const Node& node, std::size_t index) {
  return argument(node, index).toInt();
}

Numbers integers(const Node& node, std::size_t index) {
  return argument(node, index).toIntVector();
}

/// For the height and for the width; ATen takes one number for both.
Numbers pair(const Node& node, std::size_t index) {
  const Numbers numbers = integers(node, index);
  return numbers.size() == 1 ? Numbers{numbers[0], numbers[0]} : numbers;
}

/// Rows and columns as ONNX wants them: at the beginning of each side, then at its end.
Numbers both_ends(const Numbers& padding) {
  return {padding[0], padding[1], padding[0], padding[1]};
}

/// How many times as large as the input the output is, of the height and of the width.
Numbers factors_of(const Node& node) {
  const Numbers small = sizes_of(node.input(0)), large = sizes_of(node.output());
  require(large[2] % small[2] == 0 && large[3] % small[3] == 0, node, "to other than a whole number of times the size");
  return {large[2] / small[2], large[3] / small[3]};
}

void require_float(const Node& node, std::size_t index) {
  require(argument(node, index).isNone(), node, "with a type of its own");
}

void add_convolution(const Node& node, OnnxGraph& graph) {
  enum : std::size_t { x, weight, bias, stride, padding, dilation, transposed, output_padding, groups };
  require(!argument(node, transposed).toBool(), node, "transposed");
  std::vector<std::string> inputs = {graph.name_of(node.input(x)), graph.name_of(node.input(weight))};
  if (!node.input(bias)->mustBeNone()) {
    inputs.push_back(graph.name_of(node.input(bias)));
  }
  const Numbers shape = sizes_of(node.input(weight));
  graph.add("Conv", node, inputs,
            {{"kernel_shape", Numbers{shape[2], shape[3]}},
             {"strides", pair(node, stride)},
             {"pads", both_ends(pair(node, padding))},
             {"dilations", pair(node, dilation)},
             {"group", integer(node, groups)}});
}

/// The second output, where it is read, has places in the whole tensor instead of in a map.
void add_pool(const Node& node, OnnxGraph& graph) {
  enum : std::size_t { x, kernel, stride, padding, dilation, ceil };
  const Numbers strides = pair(node, stride);
  graph.add("MaxPool", node, {graph.name_of(node.input(x))},
            {{"kernel_shape", pair(node, kernel)},
             {"strides", strides.empty() ? pair(node, kernel) : strides},
             {"pads", both_ends(pair(node, padding))},
             {"dilations", pair(node, dilation)},
             {"ceil_mode", std::int64_t{argument(node, ceil).toBool()}}});
}

/// The images' numbers are in the places, so they are those of a pool of as many images with as many channels.
void add_unpool(const Node& node, OnnxGraph& graph) {
  const Value* places = node.input(1);
  require(places->node()->kind() == c10::Symbol::aten("max_pool2d_with_indices"), node, "with places of no pool");
  require(sizes_of(places) == sizes_of(node.input(0)), node, "with the places of other maps");
  const Numbers factors = factors_of(node);
  graph.add("MaxUnpool", node, {graph.name_of(node.input(0)), graph.name_of(places)},
            {{"kernel_shape", factors}, {"strides", factors}});
}

void add_upsample(const Node& node, OnnxGraph& graph) {
  enum : std::size_t { x, size, align_corners };
  const Numbers factors = factors_of(node);
  const at::Tensor scales = at::tensor(at::ArrayRef<std::int64_t>({1, 1, factors[0], factors[1]})).to(at::kFloat);
  graph.add(
      "Resize", node, {graph.name_of(node.input(x)), "", graph.add_constant(scales)},
      {{"mode", "linear"},
       {"coordinate_transformation_mode", argument(node, align_corners).toBool() ? "align_corners" : "half_pixel"}});
}

void add_concatenation(const Node& node, OnnxGraph& graph) {
  std::vector<std::string> inputs;
  for (const Value* value : node.input(0)->node()->inputs()) {
    inputs.push_back(graph.name_of(value));
  }
  graph.add("Concat", node, inputs, {{"axis", integer(node, 1)}});
}

template <const char* kType>
void add_same(const Node& node, OnnxGraph& graph) {
  std::vector<std::string> inputs;
  for (const Value* value : node.inputs()) {
    inputs.push_back(graph.name_of(value));
  }
  graph.add(kType, node, inputs);
}

void add_sum(const Node& node, OnnxGraph& graph) {
  require(argument(node, 2).toScalar().toDouble() == 1.0, node, "with a factor");
  graph.add("Add", node, {graph.name_of(node.input(0)), graph.name_of(node.input(1))});
}

void add_softmax(const Node& node, OnnxGraph& graph) {
  require_float(node, 2);
  graph.add("Softmax", node, {graph.name_of(node.input(0))}, {{"axis", integer(node, 1)}});
}

void add_argmax(const Node& node, OnnxGraph& graph) {
  graph.add("ArgMax", node, {graph.name_of(node.input(0))},
            {{"axis", integer(node, 1)}, {"keepdims", std::int64_t{argument(node, 2).toBool()}}});
}

void add_norm(const Node& node, OnnxGraph& graph) {
  enum : std::size_t { x, order, axes, keep, type };
  require(argument(node, order).toScalar().toDouble() == 2.0, node, "of another order than 2");
  require_float(node, type);
  graph.add("ReduceL2", node, {graph.name_of(node.input(x))},
            {{"axes", integers(node, axes)}, {"keepdims", std::int64_t{argument(node, keep).toBool()}}});
}

void add_mean(const Node& node, OnnxGraph& graph) {
  enum : std::size_t { x, axes, keep, type };
  require_float(node, type);
  graph.add("ReduceMean", node, {graph.name_of(node.input(x))},
            {{"axes", integers(node, axes)}, {"keepdims", std::int64_t{argument(node, keep).toBool()}}});
}

/// ONNX's Expand takes 1 for a side that stays.
void add_expansion(const Node& node, OnnxGraph& graph) {
  Numbers shape = integers(node, 1);
  std::ranges::replace(shape, -1, 1);
  graph.add("Expand", node, {graph.name_of(node.input(0)), graph.add_constant(at::tensor(shape))});
}

void add_permutation(const Node& node, OnnxGraph& graph) {
  graph.add("Transpose", node, {graph.name_of(node.input(0))}, {{"perm", integers(node, 1)}});
}

void add_cast(const Node& node, OnnxGraph& graph) {
  graph.add("Cast", node, {graph.name_of(node.input(0))}, {{"to", std::int64_t{onnx_type(type_of(node.output()))}}});
}

struct Operator {
  std::string_view aten;
  void (*add)(const Node& node, OnnxGraph& graph);
};

constexpr char kRelu[] = "Relu", kSigmoid[] = "Sigmoid", kMul[] = "Mul", kDiv[] = "Div", kClip[] = "Clip";

constexpr std::array kOperators = std::to_array<Operator>({
    {"aten::_convolution", add_convolution},
    {"aten::add", add_sum},
    {"aten::argmax", add_argmax},
    {"aten::cat", add_concatenation},
    {"aten::clamp_min", add_same<kClip>},
    {"aten::div", add_same<kDiv>},
    {"aten::expand", add_expansion},
    {"aten::linalg_vector_norm", add_norm},
    {"aten::max_pool2d", add_pool},
    {"aten::max_pool2d_with_indices", add_pool},
    {"aten::max_unpool2d", add_unpool},
    {"aten::mean", add_mean},
    {"aten::mul", add_same<kMul>},
    {"aten::permute", add_permutation},
    {"aten::relu", add_same<kRelu>},
    {"aten::sigmoid", add_same<kSigmoid>},
    {"aten::softmax", add_softmax},
    {"aten::to", add_cast},
    {"aten::upsample_bilinear2d", add_upsample},
});

}  // namespace

void add_operator(const Node& node, OnnxGraph& graph) {
  const std::string_view name = node.kind().toQualString();
  if (name == "prim::Constant" || name == "prim::ListConstruct") {
    return;  // read by the operators that they are arguments of
  }
  const auto* found = std::ranges::find(kOperators, name, &Operator::aten);
  check(found != kOperators.end(), "ONNX: the network has {}, which is not translated: --format torch takes it", name);
  found->add(node, graph);
}

}  // namespace xtasc::deploy
