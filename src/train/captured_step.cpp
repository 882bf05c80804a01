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
  if (to.draws_nk.defined()) {
    to.draws_nk.copy_(from.draws_nk, /*non_blocking=*/true);
  }
  check(to.first == from.first, "captured for images from place {} of the batch, found {}", to.first, from.first);
}

}  // namespace

MakeGraphCapture graph_capture_for(const config::RunConfig& config, at::Device device,
                                   dist::Communicator& communicator) {
  if (!config.train.cuda_graph) {
    return {};
  }
  if (device.is_cuda()) {
    return cuda_graph_captures(communicator);
  }
  log_info("train.cuda_graph: {} has no graphs; steps stay plain", device.str());
  return {};
}

CapturedStep::CapturedStep(Step& step, MakeGraphCapture make_capture, Gather gather)
    : step_(step), make_capture_(std::move(make_capture)), gather_(std::move(gather)) {
  if (make_capture_ && !step.is_the_same_each_time()) {
    log_warning(
        "train.cuda_graph: this weighting.method decides on the host or looks at a step twice, or model.transfer draws "
        "other transfers each step; steps stay plain");
    make_capture_ = nullptr;
  }
}

StepResult CapturedStep::run_plainly(std::span<const data::Batch> pieces, const weighting::Moment& moment,
                                     double learning_rate) {
  StepResult result = step_.compute(pieces, moment);
  step_.update(learning_rate);
  return result;
}

bool CapturedStep::capture(std::span<const data::Batch> pieces, std::int64_t global_size,
                           const weighting::Moment& moment) {
  std::string fault;
  const PhaseObserver observer = step_.observe({});  // what is written down now happens later
  try {
    CapturedWork& captured = captures_[global_size];
    for (const data::Batch& piece : pieces) {
      captured.pieces.push_back(piece.changed([](const at::Tensor& tensor) { return at::empty_like(tensor); }));
    }
    captured.graph = make_capture_();
    captured.graph->capture([this, &captured, moment] {
      captured.result = step_.compute(captured.pieces, moment);
      step_.update();
    });
  } catch (const std::exception& error) {
    fault = *error.what() == '\0' ? "no reason given" : error.what();
  }
  step_.observe(observer);
  // All or none: a rank that replayed while another took a plain step would sum by other means than its peers.
  const std::vector<std::string> faults = gather_(fault);
  const auto first = std::ranges::find_if(faults, [](const std::string& text) { return !text.empty(); });
  if (first == faults.end()) {
    return true;
  }
  log_warning("train.cuda_graph: the step cannot be captured (rank {}: {}); steps stay plain", first - faults.begin(),
              first->substr(0, first->find('\n')));
  make_capture_ = nullptr;
  captures_.clear();
  return false;
}

StepResult CapturedStep::run(std::span<const data::Batch> pieces, std::int64_t global_size,
                             const weighting::Moment& moment, double learning_rate) {
  if (!make_capture_ || (!captures_.contains(global_size) && num_plain_[global_size]++ < kPlainSteps)) {
    return run_plainly(pieces, moment, learning_rate);
  }
  step_.set_learning_rate(learning_rate);
  if (!captures_.contains(global_size) && !capture(pieces, global_size, moment)) {
    return run_plainly(pieces, moment, learning_rate);
  }
  const CapturedWork& captured = captures_.at(global_size);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    copy_into(captured.pieces[i], pieces[i]);
  }
  captured.graph->replay();
  return captured.result;
}

}  // namespace xtasc::train
