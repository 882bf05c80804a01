// What an ONNX file cannot hold is told by its name. That it holds what a net computes: tests/programs/export_test.py.
#include "deploy/onnx_model.hpp"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/ir/irparser.h>

#include "core/error.hpp"

namespace xtasc::deploy {
namespace {

/// A net of one weight that computes `expression` of image and weight.
Recording recording_of(const std::string& expression, const at::Tensor& weight) {
  Recording recording;
  recording.graph = std::make_shared<torch::jit::Graph>();
  torch::jit::parseIR(
      "graph(%image : Tensor, %weight : Tensor):\n  %result : Tensor = " + expression + "\n  return (%result)",
      recording.graph.get());
  recording.form = {.input = Input::float32, .height = 32, .width = 32};
  recording.outputs = {{.name = "depth", .shape = {3, 32, 32}, .type = at::kFloat}};
  recording.weights = {{"weight", weight}};
  return recording;
}

std::string fault_of(const Recording& recording) {
  try {
    EXPECT_FALSE(onnx_bytes(recording, {{"producer", "test"}}).empty());
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(OnnxModel, NamesTheOperatorThatNoRowTranslates) {
  const at::Tensor weight = at::ones({3, 1, 1});
  EXPECT_EQ(fault_of(recording_of("aten::relu(%image)", weight)), "");
  EXPECT_EQ(fault_of(recording_of("aten::cosh(%image)", weight)),
            "ONNX: the network has aten::cosh, which is not translated: --format torch takes it");
}

TEST(OnnxModel, WeightsBeyondWhatAFileHoldsAreToldBefore) {
  const auto sized = [](std::int64_t mebibytes) {
    return at::empty({mebibytes, 1 << 18}, at::TensorOptions().dtype(at::kFloat).device(at::kMeta));  // no memory
  };
  EXPECT_EQ(fault_of(recording_of("aten::relu(%image)", sized(2048))),
            "ONNX: the weights take 2.15 GB, a file holds less than 2: --format torch takes them");
}

}  // namespace
}  // namespace xtasc::deploy
