#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "deploy/onnx.pb.h"

namespace torch::jit {
struct Node;
struct Value;
}  // namespace torch::jit

namespace xtasc::deploy {

/// An element type's number in ONNX. \throws Error for one that no exported network has
[[nodiscard]] onnx::TensorProto::DataType onnx_type(at::ScalarType type);

using OnnxAttribute = std::variant<std::int64_t, std::string, std::vector<std::int64_t>>;
using OnnxAttributes = std::vector<std::pair<std::string, OnnxAttribute>>;

/// An ONNX graph that grows node by node, and the names in it of another graph's values.
class OnnxGraph {
 public:
  /// \param graph  outlives this object
  explicit OnnxGraph(onnx::GraphProto& graph) : graph_(graph) {}

  /// The value is called that from now on; where a node makes it, from then on.
  void call(const torch::jit::Value* value, const std::string& name) { names_[value] = name; }
  /// A constant that has no name yet becomes an initializer. \throws Error when nothing has made the value
  [[nodiscard]] std::string name_of(const torch::jit::Value* value);
  [[nodiscard]] bool is_called(const torch::jit::Value* value) const { return names_.contains(value); }

  void add_initializer(const std::string& name, const at::Tensor& tensor);
  /// An initializer under a name of its own. \returns the name
  std::string add_constant(const at::Tensor& tensor);
  /// A node with the outputs of `node`, but for further ones that nothing reads.
  /// \param inputs  names, empty where one is left out
  void add(std::string_view type, const torch::jit::Node& node, const std::vector<std::string>& inputs,
           const OnnxAttributes& attributes = {});

 private:
  onnx::GraphProto& graph_;
  std::map<const torch::jit::Value*, std::string> names_;
};

/// Adds what one node of ATen's is in ONNX.
/// \throws Error  that names the operator where no row translates it, or not in the form in which it is there
void add_operator(const torch::jit::Node& node, OnnxGraph& graph);

}  // namespace xtasc::deploy
