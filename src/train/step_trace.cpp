#include "train/step_trace.hpp"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <cstdlib>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "core/log.hpp"
#include "gpu/gpu.hpp"
#include "io/atomic_file.hpp"

namespace xtasc::train {

namespace {

namespace fs = std::filesystem;
namespace profiler = torch::autograd::profiler;

void start_profiler(at::Device device) {
  const profiler::ProfilerConfig config(profiler::ProfilerState::KINETO);
  std::set<profiler::ActivityType> activities = {profiler::ActivityType::CPU};
  if (device.is_cuda()) {
    activities.insert(profiler::ActivityType::CUDA);
  }
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
}

void begin_range(std::optional<at::RecordFunction>& range, const std::string& name) {
  range.emplace(at::RecordScope::USER_SCOPE);
  if (range->isActive()) {
    range->before(name);
  }
}

}  // namespace

StepTrace::StepTrace(std::vector<std::int64_t> steps, fs::path folder, int rank, at::Device device)
    : steps_(std::move(steps)), folder_(std::move(folder)), rank_(rank), device_(device) {
  if (!device.is_cuda()) {
    // Torch's profiler says that there is no GPU, which nobody asked it; of a GPU's troubles it may tell.
    ::setenv("KINETO_LOG_LEVEL", "5", /*overwrite=*/0);
  }
}

StepTrace::~StepTrace() {
  phase_range_.reset();
  step_range_.reset();
  if (first_ > 0) {
    static_cast<void>(profiler::disableProfiler());
  }
}

void StepTrace::begin_step(std::int64_t step) {
  step_ = step;
  if (first_ == 0 && !steps_.empty() && step >= steps_.front() && step <= steps_.back()) {
    start_profiler(device_);
    first_ = step;
  }
  const std::string name = fmt::format("step {}", step);
  if (device_.is_cuda()) {
    gpu::push_range(name);
  }
  if (first_ > 0) {
    begin_range(step_range_, name);
  }
}

void StepTrace::enter(Phase phase) {
  const std::string name(kPhaseNames[static_cast<std::size_t>(phase)]);
  if (device_.is_cuda()) {
    if (std::exchange(is_in_phase_, true)) {
      gpu::pop_range();
    }
    gpu::push_range(name);
  }
  if (first_ > 0) {
    phase_range_.reset();
    begin_range(phase_range_, name);
  }
}

void StepTrace::end_step() {
  phase_range_.reset();
  step_range_.reset();
  if (device_.is_cuda()) {
    if (std::exchange(is_in_phase_, false)) {
      gpu::pop_range();
    }
    gpu::pop_range();
  }
  if (first_ > 0 && step_ >= steps_.back()) {
    finish();
  }
}

void StepTrace::finish() {
  if (first_ == 0) {
    return;
  }
  const auto trace = profiler::disableProfiler();
  const fs::path path = folder_ / fmt::format("steps_{}_to_{}.rank_{}.json", std::exchange(first_, 0), step_, rank_);
  std::error_code error;
  fs::create_directories(folder_, error);
  check(!error, "cannot create {}: {}", folder_.string(), error.message());
  const fs::path written = io::temporary_path(path);
  trace->save(written.string());
  check(fs::exists(written), "cannot write {}: torch's profiler did not", path.string());
  io::publish_file(written, path);
  if (rank_ == 0) {
    log_info("trace: {}", path.string());
  }
}

}  // namespace xtasc::train
