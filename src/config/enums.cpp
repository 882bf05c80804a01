#include "config/enums.hpp"

#include <array>
#include <cstddef>

namespace xtasc::config {

namespace {

// The compiler names a value that has no word.

constexpr std::string_view word(Device value) {
  switch (value) {
    case Device::automatic:
      return "auto";
    case Device::cpu:
      return "cpu";
    case Device::cuda:
      return "cuda";
  }
  return "";
}

constexpr std::string_view word(Precision value) {
  switch (value) {
    case Precision::fp32:
      return "fp32";
    case Precision::tf32:
      return "tf32";
    case Precision::bf16:
      return "bf16";
    case Precision::fp64:
      return "fp64";
  }
  return "";
}

constexpr std::string_view word(Encoder value) {
  switch (value) {
    case Encoder::resnet18:
      return "resnet18";
    case Encoder::resnet34:
      return "resnet34";
    case Encoder::resnet50:
      return "resnet50";
    case Encoder::resnet101:
      return "resnet101";
    case Encoder::resnet152:
      return "resnet152";
  }
  return "";
}

constexpr std::string_view word(CrossStitchForm value) {
  switch (value) {
    case CrossStitchForm::mtan:
      return "mtan";
    case CrossStitchForm::misra:
      return "misra";
  }
  return "";
}

constexpr std::string_view word(AdamtAttention value) {
  switch (value) {
    case AdamtAttention::shared:
      return "shared";
    case AdamtAttention::per_slot:
      return "per_slot";
  }
  return "";
}

constexpr std::string_view word(TransferScheme value) {
  switch (value) {
    case TransferScheme::pairs:
      return "pairs";
    case TransferScheme::ring:
      return "ring";
    case TransferScheme::sample:
      return "sample";
  }
  return "";
}

constexpr std::string_view word(TeacherBatchNorm value) {
  switch (value) {
    case TeacherBatchNorm::evaluate:
      return "evaluate";
    case TeacherBatchNorm::train:
      return "train";
  }
  return "";
}

constexpr std::string_view word(DepthLoss value) {
  switch (value) {
    case DepthLoss::l1:
      return "L1";
    case DepthLoss::mse:
      return "MSE";
    case DepthLoss::log_l1:
      return "logL1";
    case DepthLoss::smooth_l1:
      return "smoothL1";
  }
  return "";
}

constexpr std::string_view word(TransferredDepthLoss value) {
  switch (value) {
    case TransferredDepthLoss::l1:
      return "L1";
    case TransferredDepthLoss::ssim:
      return "ssim";
  }
  return "";
}

constexpr std::string_view word(TransferredSegmentationLoss value) {
  switch (value) {
    case TransferredSegmentationLoss::cross:
      return "cross";
    case TransferredSegmentationLoss::kl:
      return "kl";
  }
  return "";
}

constexpr std::string_view word(WeightedParameters value) {
  switch (value) {
    case WeightedParameters::shared:
      return "shared";
    case WeightedParameters::all:
      return "all";
  }
  return "";
}

constexpr std::string_view word(CombinedLosses value) {
  switch (value) {
    case CombinedLosses::plain:
      return "plain";
    case CombinedLosses::uncertainty:
      return "uncertainty";
  }
  return "";
}

constexpr std::string_view word(HeadGradients value) {
  switch (value) {
    case HeadGradients::plain:
      return "plain";
    case HeadGradients::weighted:
      return "weighted";
  }
  return "";
}

constexpr std::string_view word(FactorScale value) {
  switch (value) {
    case FactorScale::sum:
      return "sum";
    case FactorScale::mean:
      return "mean";
  }
  return "";
}

constexpr std::string_view word(WeightDistribution value) {
  switch (value) {
    case WeightDistribution::normal:
      return "normal";
    case WeightDistribution::dirichlet:
      return "dirichlet";
    case WeightDistribution::uniform:
      return "uniform";
  }
  return "";
}

constexpr std::string_view word(GradientNormalisation value) {
  switch (value) {
    case GradientNormalisation::none:
      return "none";
    case GradientNormalisation::l2:
      return "l2";
    case GradientNormalisation::loss:
      return "loss";
    case GradientNormalisation::loss_and_l2:
      return "loss+";
  }
  return "";
}

constexpr std::string_view word(Optimizer value) {
  switch (value) {
    case Optimizer::adam:
      return "adam";
    case Optimizer::adamw:
      return "adamw";
    case Optimizer::sgd:
      return "sgd";
  }
  return "";
}

constexpr std::string_view word(Schedule value) {
  switch (value) {
    case Schedule::step:
      return "step";
    case Schedule::cosine:
      return "cosine";
    case Schedule::poly:
      return "poly";
    case Schedule::constant:
      return "constant";
  }
  return "";
}

/// The words of the values 0, 1, ..., up to the first that is none.
template <typename Enum>
constexpr auto words() {
  constexpr std::size_t kCount = [] {
    std::size_t count = 0;
    while (!word(static_cast<Enum>(count)).empty()) {
      ++count;
    }
    return count;
  }();
  std::array<std::string_view, kCount> all;
  for (std::size_t i = 0; i < kCount; ++i) {
    all[i] = word(static_cast<Enum>(i));
  }
  return all;
}

template <typename Enum>
constexpr auto kWords = words<Enum>();

}  // namespace

template <>
std::span<const std::string_view> names<Device>() {
  return kWords<Device>;
}

template <>
std::span<const std::string_view> names<Precision>() {
  return kWords<Precision>;
}

template <>
std::span<const std::string_view> names<Encoder>() {
  return kWords<Encoder>;
}

template <>
std::span<const std::string_view> names<DepthLoss>() {
  return kWords<DepthLoss>;
}

template <>
std::span<const std::string_view> names<TransferredDepthLoss>() {
  return kWords<TransferredDepthLoss>;
}

template <>
std::span<const std::string_view> names<TransferredSegmentationLoss>() {
  return kWords<TransferredSegmentationLoss>;
}

template <>
std::span<const std::string_view> names<WeightedParameters>() {
  return kWords<WeightedParameters>;
}

template <>
std::span<const std::string_view> names<CrossStitchForm>() {
  return kWords<CrossStitchForm>;
}

template <>
std::span<const std::string_view> names<AdamtAttention>() {
  return kWords<AdamtAttention>;
}

template <>
std::span<const std::string_view> names<TransferScheme>() {
  return kWords<TransferScheme>;
}

template <>
std::span<const std::string_view> names<TeacherBatchNorm>() {
  return kWords<TeacherBatchNorm>;
}

template <>
std::span<const std::string_view> names<CombinedLosses>() {
  return kWords<CombinedLosses>;
}

template <>
std::span<const std::string_view> names<HeadGradients>() {
  return kWords<HeadGradients>;
}

template <>
std::span<const std::string_view> names<FactorScale>() {
  return kWords<FactorScale>;
}

template <>
std::span<const std::string_view> names<WeightDistribution>() {
  return kWords<WeightDistribution>;
}

template <>
std::span<const std::string_view> names<GradientNormalisation>() {
  return kWords<GradientNormalisation>;
}

template <>
std::span<const std::string_view> names<Optimizer>() {
  return kWords<Optimizer>;
}

template <>
std::span<const std::string_view> names<Schedule>() {
  return kWords<Schedule>;
}

}  // namespace xtasc::config
