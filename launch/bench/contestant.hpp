#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "launch/bench/bench.hpp"
#include "train/captured_step.hpp"
#include "train/phase.hpp"
#include "train/phase_clock.hpp"
#include "train/setup.hpp"
#include "train/step.hpp"

namespace xtasc::launch {

/// Returns when the device has done all that was asked of it.
void wait_for(at::Device device);

/// `count` samples of noise on the device. What is in them does not change the time.
[[nodiscard]] data::Dataset make_noise_samples(const StepBench& options, const config::RunConfig& config,
                                               std::int64_t count, at::Device device);

/// A net of a config with its optimizer, ready to take steps on the first global batch of `train`, over and over.
class Contestant {
 public:
  /// \param train  as many samples as the global batch, at least; must outlive this object
  /// \param communicator  whose ranks share the global batch
  Contestant(const data::Dataset& train, const StepBench& options, const dist::MpiSession& session,
             config::RunConfig config, std::unique_ptr<dist::Communicator> communicator);

  /// The steps that a library's first calls, and the capture of `train.cuda_graph`, make slower than others.
  /// Collective.
  void warm_up();
  /// Seconds of one step, of the slowest rank of the session. Collective.
  double take_step();
  /// A plain step of this rank alone; `observer` is told its phases.
  void take_plain_step(const train::PhaseObserver& observer);
  /// Seconds of a plain step's phases, of the slowest rank each; the device is waited for after each. Collective.
  std::array<double, train::kPhaseNames.size()> take_step_by_phases();

  /// This rank's part of the global batch, drawn as training draws it: a piece, or train.accumulate of them.
  [[nodiscard]] std::vector<data::Batch> draw() const;
  /// StepResult::losses of the first step, from the weights that it was made with; on the CPU.
  [[nodiscard]] const at::Tensor& first_losses() const { return first_losses_; }
  [[nodiscard]] const train::Learner& learner() const { return learner_; }
  /// Whether steps are replayed from a CUDA graph.
  [[nodiscard]] bool is_captured() const { return captured_step_.num_captured() > 0; }
  /// Bytes of all gradients, which a step sums over the ranks.
  [[nodiscard]] std::size_t gradient_bytes() const;

 private:
  void step();
  void plain_step();
  void keep_first(const at::Tensor& losses);

  const data::Dataset& train_;
  config::RunConfig config_;
  const dist::MpiSession& session_;
  at::Device device_;
  std::unique_ptr<dist::Communicator> communicator_;
  net::Sizes sizes_;
  train::Learner learner_;
  train::Step step_;
  train::CapturedStep captured_step_;
  train::PhaseClock clock_;
  at::Tensor first_losses_;
  std::int64_t num_steps_ = 0;
};

}  // namespace xtasc::launch
