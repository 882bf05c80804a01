#include "model/task_map.hpp"

#include <ATen/ATen.h>

#include "core/error.hpp"
#include "model/unit_vectors.hpp"

namespace xtasc::model {

namespace {

template <typename T>
std::vector<T> values_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kCPU, c10::CppTypeToScalarType<T>::value).contiguous();
  const T* data = flat.const_data_ptr<T>();
  return {data, data + flat.numel()};
}

}  // namespace

TaskMap predicted_map(const task::Task& task, const at::Tensor& prediction) {
  switch (task.kind) {
    case task::Kind::classes:
      return {bytes_of(prediction.argmax(1)), {}};
    case task::Kind::depth:
      return {{}, values_of<float>(prediction)};
    case task::Kind::unit_vector:
      return {{}, values_of<float>(unit_vectors(prediction))};
  }
  fail("task \"{}\" is of no kind that has maps", task.key);
}

TaskMap true_map(const task::Task& task, const at::Tensor& target) {
  return task.kind == task::Kind::classes ? TaskMap{bytes_of(target), {}} : TaskMap{{}, values_of<float>(target)};
}

std::vector<std::uint8_t> bytes_of(const at::Tensor& tensor) {
  return values_of<std::uint8_t>(tensor);
}

}  // namespace xtasc::model
