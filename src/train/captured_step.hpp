#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "train/step.hpp"
#include "weighting/task_weighting.hpp"

namespace xtasc::train {

/// Device work written down once and run again as it stands: same kernels, same addresses.
class GraphCapture {
 public:
  virtual ~GraphCapture() = default;
  /// Calls `work` once; what it asks of the device is written down and not yet done.
  /// \throws Error when the device cannot record it; the device is then as before.
  virtual void capture(const std::function<void()>& work) = 0;
  /// The device does what was captured, on the memory that `work` saw.
  virtual void replay() = 0;
};

using MakeGraphCapture = std::function<std::unique_ptr<GraphCapture>()>;

/// CUDA graphs, which share one pool of memory; in a build without CUDA none can be made. Not run on a GPU yet. A sum
/// over the ranks that fails while it is captured leaves the communicator broken: that ends the run, as any failure of
/// NCCL does. Rules: https://docs.pytorch.org/docs/2.11/notes/cuda.html#cuda-graphs
[[nodiscard]] MakeGraphCapture cuda_graph_captures(dist::Communicator& communicator);

/// Of the device, where the config asks for it; else none.
[[nodiscard]] MakeGraphCapture graph_capture_for(const config::RunConfig& config, at::Device device,
                                                 dist::Communicator& communicator);

/// Whole optimizer steps, `train.cuda_graph`: after a few plain steps of a batch size its step is captured, and from
/// then on replayed, which costs the host one call instead of thousands. What the host decides anew for each
/// step (the samples, the learning rate) lies in memory that the captured work reads.
///
/// Where capture is impossible on any rank, the steps of all stay plain; the reason is logged once.
class CapturedStep {
 public:
  /// Libraries choose kernels, make handles and allocate workspaces in their first calls, which cannot be captured.
  static constexpr int kPlainSteps = 3;

  /// What each rank says, on every rank: dist::MpiSession::gather. Collective.
  using Gather = std::function<std::vector<std::string>(const std::string&)>;

  /// \param make_capture  one for each batch size; empty: every step is plain
  CapturedStep(Step& step, MakeGraphCapture make_capture, Gather gather);

  /// Step::compute and Step::update. Tensors of the result are overwritten by the next call of this batch size.
  /// \param pieces  those of the batch, as many for one size as for the same size before
  /// \param global_size  images of the global batch: all ranks record at the same step. Collective.
  StepResult run(std::span<const data::Batch> pieces, std::int64_t global_size, const weighting::Moment& moment,
                 double learning_rate);
  StepResult run(const data::Batch& batch, std::int64_t global_size, const weighting::Moment& moment,
                 double learning_rate) {
    return run(std::span(&batch, 1), global_size, moment, learning_rate);
  }

  [[nodiscard]] std::size_t num_captured() const { return captures_.size(); }

 private:
  struct CapturedWork {
    std::vector<data::Batch> pieces;  ///< what the captured work reads
    StepResult result;                ///< what it writes
    std::unique_ptr<GraphCapture> graph;
  };

  StepResult run_plainly(std::span<const data::Batch> pieces, const weighting::Moment& moment, double learning_rate);
  [[nodiscard]] bool capture(std::span<const data::Batch> pieces, std::int64_t global_size,
                             const weighting::Moment& moment);

  Step& step_;
  MakeGraphCapture make_capture_;
  Gather gather_;
  std::map<std::int64_t, int> num_plain_;  ///< steps done plainly, by global batch size
  std::map<std::int64_t, CapturedWork> captures_;
};

}  // namespace xtasc::train
