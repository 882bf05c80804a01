// In a build without CUDA: what kernels on a GPU are started by. No tensor gets as far as here, since nothing puts one
// on a GPU.
#include "core/error.hpp"
#include "kernels/augment/augment_cuda.hpp"
#include "kernels/batch_norm/batch_norm_cuda.hpp"
#include "kernels/epilogue/epilogue_cuda.hpp"
#include "kernels/finite/finite_cuda.hpp"
#include "kernels/kernel_memory.hpp"
#include "kernels/losses/fused_losses_cuda.hpp"
#include "kernels/upsample/upsample_cuda.hpp"

namespace xtasc::kernels {

namespace {

[[noreturn]] void refuse() {
  fail("this build has no CUDA: nothing can be computed on a GPU");
}

}  // namespace

void* current_stream() {
  refuse();
}

void augment_on_cuda(const SampleStore&, std::span<const SampleView>, const BatchMemory&, void*) {
  refuse();
}

template <typename T>
void norm_sums_on_cuda(const NormInput<T>&, SumOf, const NormGrid&, double*, void*) {
  refuse();
}
template <typename Finish>
void finish_slices_on_cuda(const double*, const NormGrid&, const Finish&, void*) {
  refuse();
}
template <typename Finish>
void finish_channels_on_cuda(const double*, std::int64_t, const Finish&, void*) {
  refuse();
}
template <typename T>
void scale_shift_on_cuda(const NormInput<T>&, bool, const NormGrid&, T*, void*) {
  refuse();
}
template <typename T>
void gradient_of_x_on_cuda(const NormInput<T>&, const NormFactors<T>&, bool, const NormGrid&, T*, void*) {
  refuse();
}
#include "kernels/batch_norm/batch_norm_instances.inc"

template <typename Work>
void run_epilogue_on_cuda(const Work&, const NormGrid&, void*) {
  refuse();
}
template <typename Work>
void run_epilogue_gradient_on_cuda(const Work&, const NormGrid&, double*, void*) {
  refuse();
}
#include "kernels/epilogue/epilogue_instances.inc"

template <typename T>
void finite_check_on_cuda(const T*, std::int64_t, std::int64_t*, void*) {
  refuse();
}
template void finite_check_on_cuda(const float*, std::int64_t, std::int64_t*, void*);
template void finite_check_on_cuda(const double*, std::int64_t, std::int64_t*, void*);
void end_finite_step_on_cuda(std::int64_t*, void*) {
  refuse();
}

template <typename T>
void fused_losses_on_cuda(const FusedInputs<T>&, double*, void*) {
  refuse();
}
template <typename T>
void fused_gradients_on_cuda(const FusedInputs<T>&, const T*, std::int64_t, const FusedGradients<T>&, void*) {
  refuse();
}
#include "kernels/losses/fused_losses_instances.inc"

template <typename T>
void upsample_on_cuda(const UpsampleWork<T>&, const UpsampleGrid&, void*) {
  refuse();
}
template <typename T>
void upsample_gradient_on_cuda(const UpsampleWork<T>&, const UpsampleGrid&, void*) {
  refuse();
}
#include "kernels/upsample/upsample_instances.inc"

}  // namespace xtasc::kernels
