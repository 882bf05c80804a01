#include "train/phase_clock.hpp"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

namespace xtasc::train {

PhaseClock::PhaseClock(at::Device device) : device_(device) {}

void PhaseClock::mark(std::optional<Phase> phase) {
  if (device_.is_cuda()) {
    mark_on_device(phase);
    return;
  }
  const Clock::time_point now = Clock::now();
  if (phase_) {
    seconds_[static_cast<std::size_t>(*phase_)] += std::chrono::duration<double>(now - begin_).count();
  }
  phase_ = phase;
  begin_ = now;
}

void PhaseClock::read_passed() {
  while (marks_.size() > 1 && marks_[1].event.query()) {
    constexpr double kMillisecond = 1e-3;
    if (const auto passed = marks_.front().phase) {
      seconds_[static_cast<std::size_t>(*passed)] += kMillisecond * marks_.front().event.elapsedTime(marks_[1].event);
    }
    passed_.push_back(std::move(marks_.front().event));
    marks_.pop_front();
  }
}

void PhaseClock::mark_on_device(std::optional<Phase> phase) {
  read_passed();
  if (passed_.empty()) {
    passed_.emplace_back(device_.type(), c10::EventFlag::BACKEND_DEFAULT);  // the one that knows the time
  }
  marks_.push_back({phase, std::move(passed_.back())});
  passed_.pop_back();
  marks_.back().event.record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
}

PhaseSeconds PhaseClock::take() {
  read_passed();
  return std::exchange(seconds_, PhaseSeconds{});
}

}  // namespace xtasc::train
