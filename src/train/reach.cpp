#include "train/reach.hpp"

#include <torch/csrc/autograd/functions/accumulate_grad.h>

#include <set>

namespace xtasc::train {

namespace {

using torch::autograd::Node;
using Leaves = std::set<const c10::TensorImpl*>;

/// Adds the leaves behind a tensor.
void add_leaves(const at::Tensor& root, Leaves& leaves) {
  std::set<Node*> seen;
  std::vector<Node*> open;
  const auto visit = [&](Node* node) {
    if (node != nullptr && seen.insert(node).second) {
      open.push_back(node);
    }
  };
  visit(root.grad_fn().get());
  while (!open.empty()) {
    Node* node = open.back();
    open.pop_back();
    if (const auto* leaf = dynamic_cast<torch::autograd::AccumulateGrad*>(node)) {
      leaves.insert(leaf->variable.unsafeGetTensorImpl());
    }
    for (const torch::autograd::Edge& edge : node->next_edges()) {
      visit(edge.function.get());
    }
  }
}

}  // namespace

std::vector<ReachedRun> reach_of(const std::vector<at::Tensor>& objectives, const Cut& cut,
                                 const model::ParameterSet& parameters) {
  std::vector<Leaves> behind_cut(cut.outputs.size());
  for (std::size_t k = 0; k < cut.outputs.size(); ++k) {
    add_leaves(cut.outputs[k], behind_cut[k]);
  }
  std::vector<Leaves> reached(objectives.size());
  for (std::size_t t = 0; t < objectives.size(); ++t) {
    add_leaves(objectives[t], reached[t]);
    for (std::size_t k = 0; k < cut.leaves.size(); ++k) {
      if (reached[t].contains(cut.leaves[k].unsafeGetTensorImpl())) {
        reached[t].insert(behind_cut[k].begin(), behind_cut[k].end());
      }
    }
  }
  std::vector<ReachedRun> runs;
  const auto& all = parameters.parameters();
  for (std::size_t i = 0; i < all.size(); ++i) {
    TaskSet tasks = 0;
    for (std::size_t t = 0; t < reached.size(); ++t) {
      tasks |= reached[t].contains(all[i].tensor.unsafeGetTensorImpl()) ? TaskSet{1} << t : 0;
    }
    if (runs.empty() || runs.back().tasks != tasks) {
      runs.push_back({i, i, tasks});
    }
    runs.back().last = i + 1;
  }
  return runs;
}

}  // namespace xtasc::train
