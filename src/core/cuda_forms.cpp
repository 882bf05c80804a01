#include "core/cuda_forms.hpp"

#include <atomic>

#include "core/error.hpp"

namespace xtasc {

namespace {

// Which form a tensor takes is asked deep inside autograd, where no argument of ours arrives.
std::atomic<bool> cuda_forms_are_wanted = false;
std::atomic<KernelObserver*> kernel_observer = nullptr;

KernelObserver* observer() {
  return kernel_observer.load(std::memory_order_relaxed);
}

}  // namespace

CudaForms::CudaForms(KernelObserver* observer) {
  check(!cuda_forms_are_wanted.exchange(true), "CudaForms: one at a time");
  kernel_observer = observer;
}

CudaForms::~CudaForms() {
  kernel_observer = nullptr;
  cuda_forms_are_wanted = false;
}

bool CudaForms::are_wanted() {
  return cuda_forms_are_wanted.load(std::memory_order_relaxed);
}

KernelMark::KernelMark(const char* name, std::int64_t bytes) : observer_(observer()) {
  if (observer_ != nullptr) {
    observer_->begin_kernel(name, bytes);
  }
}

KernelMark::~KernelMark() {
  if (observer_ != nullptr) {
    observer_->end();
  }
}

CauseMark::CauseMark(const char* cause) : observer_(observer()) {
  if (observer_ != nullptr) {
    observer_->begin_cause(cause);
  }
}

CauseMark::~CauseMark() {
  if (observer_ != nullptr) {
    observer_->end();
  }
}

}  // namespace xtasc
