#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace xtasc::config {

/// Where to compute; automatic: CUDA where there is a GPU, else the CPU.
enum class Device { automatic, cpu, cuda };
/// fp32 is the exact mode; tf32 and bf16 trade digits for speed; fp64 (CPU) is for proofs.
enum class Precision { fp32, tf32, bf16, fp64 };
/// The size of the ResNet.
enum class Encoder { resnet18, resnet34, resnet50, resnet101, resnet152 };
/// How a Cross-Stitch network mixes: one mixture for all tasks, as its public code; or one a task and channel.
enum class CrossStitchForm { mtan, misra };
/// AdaMT-Net's learned factors: one for all images, or one for each place in the batch.
enum class AdamtAttention { shared, per_slot };
/// Which tasks are predicted from which: every one from every other; each from the one before it, the first from the
/// last; every one from every other, of which a step draws some.
enum class TransferScheme { pairs, ring, sample };
/// What a teacher's batch norms go by: their running statistics, or the batch's.
enum class TeacherBatchNorm { evaluate, train };
/// Of a depth against the true one.
enum class DepthLoss { l1, mse, log_l1, smooth_l1 };
/// Of the depth made from the segmentation, against the direct one.
enum class TransferredDepthLoss { l1, ssim };
/// Of the segmentation made from the depth, against the direct one.
enum class TransferredSegmentationLoss { cross, kl };
/// Which parameters' gradients a method compares and combines: those that all tasks reach, or each task's own too.
enum class WeightedParameters { shared, all };
/// Whose gradients a method combines: of the tasks' losses as they are, or as `uncertainty` weighs them.
enum class CombinedLosses { plain, uncertainty };
/// What of each task's own part a method on gradients scales: nothing, or each task's by the task's factor.
enum class HeadGradients { plain, weighted };
/// Whether factors are those of a sum of the tasks (equal: 1 each) or of their mean (1 / T each).
enum class FactorScale { sum, mean };
/// What rlw draws its weights from.
enum class WeightDistribution { normal, dirichlet, uniform };
/// What mgda divides a task's gradient by: nothing, its norm, the loss, both.
enum class GradientNormalisation { none, l2, loss, loss_and_l2 };
/// What moves the network by its gradients.
enum class Optimizer { adam, adamw, sgd };
/// How the learning rate goes over a run.
enum class Schedule { step, cosine, poly, constant };

/// The words that a config accepts for an enumeration, in the order of its values.
template <typename Enum>
std::span<const std::string_view> names();

/// The config's word for a value, e.g. name(Precision::bf16) == "bf16".
template <typename Enum>
std::string_view name(Enum value) {
  return names<Enum>()[static_cast<std::size_t>(value)];
}

}  // namespace xtasc::config
