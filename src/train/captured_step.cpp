#include "train/captured_step.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/log.hpp"

namespace xtasc::train {

namespace {

void copy_into(const data::Batch& to, const data::Batch& from) {
  to.image_n3hw.copy_(from.image_n3hw, /*non_blocking=*/true);
  for (const auto& [task, target] : to.targets) {
    target.copy_(from.targets.at(task), /*non_blocking=*/true);
  }
}

}  // namespace

MakeRecorder recorder_for(const config::RunConfig& config, at::Device device, dist::Communicator& communicator) {
  if (!config.train.cuda_graph) {
    return {};
  }
  if (device.is_cuda()) {
    return cuda_recorders(communicator);
  }
  log_info("train.cuda_graph: {} has no graphs; steps stay plain", device.str());
  return {};
}

CapturedStep::CapturedStep(Step& step, MakeRecorder make_recorder, Gather gather)
    : step_(step), make_recorder_(std::move(make_recorder)), gather_(std::move(gather)) {
  if (make_recorder_ && !step.is_the_same_each_time()) {
    log_warning(
        "train.cuda_graph: this weighting.method decides on the host or looks at a step twice; steps stay plain");
    make_recorder_ = nullptr;
  }
}

StepResult CapturedStep::run_plainly(const data::Batch& batch, const weighting::Moment& moment, double learning_rate) {
  StepResult result = step_.compute(batch, moment);
  step_.update(learning_rate);
  return result;
}

bool CapturedStep::record(const data::Batch& batch, std::int64_t global_size, const weighting::Moment& moment) {
  std::string fault;
  try {
    Recording& recording = recordings_[global_size];
    recording.batch = batch.changed([](const at::Tensor& tensor) { return at::empty_like(tensor); });
    recording.recorder = make_recorder_();
    recording.recorder->record([this, &recording, moment] {
      recording.result = step_.compute(recording.batch, moment);
      step_.update();
    });
  } catch (const std::exception& error) {
    fault = *error.what() == '\0' ? "no reason given" : error.what();
  }
  // All or none: a rank that replayed while another took a plain step would sum by other means than its peers.
  const std::vector<std::string> faults = gather_(fault);
  const auto first = std::ranges::find_if(faults, [](const std::string& text) { return !text.empty(); });
  if (first == faults.end()) {
    return true;
  }
  log_warning("train.cuda_graph: the step cannot be recorded (rank {}: {}); steps stay plain", first - faults.begin(),
              first->substr(0, first->find('\n')));
  make_recorder_ = nullptr;
  recordings_.clear();
  return false;
}

StepResult CapturedStep::run(const data::Batch& batch, std::int64_t global_size, const weighting::Moment& moment,
                             double learning_rate) {
  if (!make_recorder_ || (!recordings_.contains(global_size) && num_plain_[global_size]++ < kPlainSteps)) {
    return run_plainly(batch, moment, learning_rate);
  }
  step_.set_learning_rate(learning_rate);
  if (!recordings_.contains(global_size) && !record(batch, global_size, moment)) {
    return run_plainly(batch, moment, learning_rate);
  }
  const Recording& recording = recordings_.at(global_size);
  copy_into(recording.batch, batch);
  recording.recorder->replay();
  return recording.result;
}

}  // namespace xtasc::train
