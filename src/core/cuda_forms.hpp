#pragma once

#include <cstdint>

namespace xtasc {

/// Told of the kernels of our own that a device is asked for, or would be: see CudaForms.
class KernelObserver {
 public:
  virtual ~KernelObserver() = default;
  /// Until end() all work belongs to `cause`; calls nest.
  virtual void begin_cause(const char* cause) = 0;
  /// Until end() all work is what this one launch does, whatever the CPU calls instead. \param name  "cause: kernel"
  /// \param bytes  that it reads and writes, each tensor once; 0 where that is next to nothing
  virtual void begin_kernel(const char* name, std::int64_t bytes) = 0;
  virtual void end() = 0;
};

/// As long as it lives, tensors on the CPU take the forms that tensors on CUDA take, slowly: the same ATen calls, and
/// for each kernel of our own its element functions. So that what a GPU would be asked for can be counted, and its
/// forms tested, where there is none. One at a time; made and ended while no other thread computes.
class CudaForms {
 public:
  /// \param observer  outlives this object; null: nobody is told
  explicit CudaForms(KernelObserver* observer = nullptr);
  ~CudaForms();
  CudaForms(const CudaForms&) = delete;
  CudaForms& operator=(const CudaForms&) = delete;

  [[nodiscard]] static bool are_wanted();
};

/// Whether work on a tensor takes CUDA's form. Every choice of a form by the device asks this one function.
template <typename Tensor>
[[nodiscard]] bool takes_cuda_form(const Tensor& x) {
  return x.is_cuda() || (CudaForms::are_wanted() && x.is_cpu());
}

/// Around the launch of one kernel of our own, and around what the CPU does in its place.
class KernelMark {
 public:
  explicit KernelMark(const char* name, std::int64_t bytes = 0);
  ~KernelMark();
  KernelMark(const KernelMark&) = delete;
  KernelMark& operator=(const KernelMark&) = delete;

 private:
  KernelObserver* observer_;
};

/// Around work of one cause that is made of several launches.
class CauseMark {
 public:
  explicit CauseMark(const char* cause);
  ~CauseMark();
  CauseMark(const CauseMark&) = delete;
  CauseMark& operator=(const CauseMark&) = delete;

 private:
  KernelObserver* observer_;
};

}  // namespace xtasc
