#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace xtasc::model {

using Computation = std::function<at::Tensor(const at::Tensor&)>;

/// compute(x) without its activations: backward keeps x alone, calls compute_again(x) and goes back through that. All
/// gradients reach x and the parameters as if the activations had been kept, each once, so whoever watches a leaf sees
/// no difference; the same bits when both computations give the same bits. A graph that is retained is computed again
/// each time it is walked. Without gradients this is compute(x).
///
/// \param parameters     leaves that require a gradient: all that the computations depend on besides x
/// \param compute_again  as `compute`, without its side effects; called by the thread that runs backward, as often and
///                       in the same order on every rank when the ranks' graphs are alike, so it may be collective
/// Source: Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost, https://arxiv.org/abs/1604.06174
[[nodiscard]] at::Tensor recomputed_in_backward(const at::Tensor& x, const std::vector<at::Tensor>& parameters,
                                                const Computation& compute, const Computation& compute_again);

}  // namespace xtasc::model
