#pragma once

#include <cstdint>
#include <memory>

#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "launch/bench.hpp"
#include "train/setup.hpp"
#include "train/step.hpp"

namespace xtasc::launch {

/// Returns when the device has done all that was asked of it.
void wait_for(at::Device device);

/// A net of a config with its optimizer and one batch of noise, ready to take steps.
class Contestant {
 public:
  /// \param world  whose ranks share the global batch; must outlive this object
  Contestant(const StepBench& options, const dist::MpiSession& session, config::RunConfig config, at::Device device,
             std::unique_ptr<dist::Communicator> communicator);

  /// Seconds of one step, of the slowest rank of the session. Collective.
  double take_step();

  /// Bytes of all gradients, which a step sums over the ranks.
  [[nodiscard]] std::size_t gradient_bytes() const;

 private:
  config::RunConfig config_;
  const dist::MpiSession& session_;
  at::Device device_;
  std::unique_ptr<dist::Communicator> communicator_;
  train::Learner learner_;
  train::Step step_;
  data::Batch batch_;
  std::int64_t num_steps_ = 0;
};

}  // namespace xtasc::launch
