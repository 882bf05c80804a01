#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/phase.hpp"

namespace xtasc::train {

/// run.profile: torch's profiler looks at some steps of this rank, and writes what it saw in Chrome's trace format,
/// which https://ui.perfetto.dev and chrome://tracing open. Steps and their parts are named ranges in it, on a GPU NVTX
/// ranges of every step too, for NVIDIA's own tools (not run on a GPU yet).
class StepTrace {
 public:
  /// \param steps  the first and the last, from 1; empty: none \param folder  where FOLDER/steps_A_to_B.rank_R.json
  /// goes, A to B being those that this start of the run took
  StepTrace(std::vector<std::int64_t> steps, std::filesystem::path folder, int rank, at::Device device);
  /// A trace under way is lost: an error is on its way.
  ~StepTrace();
  StepTrace(const StepTrace&) = delete;
  StepTrace& operator=(const StepTrace&) = delete;

  /// \param step  that begins, from 1
  void begin_step(std::int64_t step);
  void enter(Phase phase);
  /// Writes the trace after the last step. \throws Error when it cannot be written
  void end_step();
  /// Writes what a trace under way has seen until now: the run ends here.
  void finish();

 private:
  std::vector<std::int64_t> steps_;
  std::filesystem::path folder_;
  int rank_;
  at::Device device_;
  std::int64_t first_ = 0;    ///< of the trace under way; 0: none
  std::int64_t step_ = 0;     ///< under way or done last
  bool is_in_phase_ = false;  ///< NVTX has a range of one
  std::optional<at::RecordFunction> step_range_, phase_range_;
};

}  // namespace xtasc::train
