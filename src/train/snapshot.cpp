#include "train/snapshot.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <map>

namespace xtasc::train {

namespace {

/// The bytes of a tensor's whole storage, whatever views of it there are.
at::Tensor bytes_of(const at::Tensor& tensor) {
  return at::empty({0}, tensor.options().dtype(at::kByte)).set_(tensor.storage());
}

/// Copies tensors storage by storage: views of one stay views of one.
class Copier {
 public:
  explicit Copier(std::optional<at::Device> target) : target_(target) {}

  std::vector<std::pair<std::string, at::Tensor>> copy(const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
    std::vector<std::pair<std::string, at::Tensor>> copies;
    copies.reserve(tensors.size());
    for (const auto& [name, tensor] : tensors) {
      copies.emplace_back(name, copy(tensor));
    }
    return copies;
  }

 private:
  at::Tensor copy(const at::Tensor& tensor) {
    const at::Device device = target_.value_or(tensor.device());
    at::Tensor& bytes = copied_[tensor.storage().unsafeGetStorageImpl()];
    if (!bytes.defined()) {
      const at::Tensor source = bytes_of(tensor);
      bytes = at::empty(source.sizes(), source.options().device(device)).copy_(source);
    }
    return at::empty({0}, tensor.options().device(device))
        .set_(bytes.storage(), tensor.storage_offset(), tensor.sizes(), tensor.strides());
  }

  std::optional<at::Device> target_;  ///< none: each tensor's own
  std::map<const c10::StorageImpl*, at::Tensor> copied_;
};

LearnerTensors copy_of(const LearnerTensors& tensors, std::optional<at::Device> target = {}) {
  const c10::NoGradGuard no_grad;
  Copier copier(target);
  return {copier.copy(tensors.weights), copier.copy(tensors.state)};
}

}  // namespace

LearnerTensors tensors_of(const Learner& learner) {
  return {learner.weights(), learner.state()};
}

Snapshot::Snapshot(const Learner& learner)
    : device_(learner.net.parameters().device()), copy_(copy_of(tensors_of(learner))) {
  if (!device_.is_cpu()) {
    is_made_.emplace(device_.type());
    is_made_->record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  }
}

LearnerTensors Snapshot::on_host() && {
  if (device_.is_cpu()) {
    return std::move(copy_);
  }
  const c10::StreamGuard aside(c10::impl::VirtualGuardImpl(device_.type()).getStreamFromGlobalPool(device_));
  is_made_->block(aside.current_stream());
  // Copies to the host wait for this stream: nothing uses the device's memory any more when it is given back.
  LearnerTensors on_host = copy_of(copy_, at::Device(at::kCPU));
  copy_ = {};
  return on_host;
}

}  // namespace xtasc::train
