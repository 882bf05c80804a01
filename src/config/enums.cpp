#include "config/enums.hpp"

#include <array>
#include <cstddef>
#include <utility>

namespace xtasc::config {

namespace {

/// The words alone. Does not compile unless the values stand in the order of their declaration.
template <typename Enum, std::size_t count>
consteval std::array<std::string_view, count> words(const std::pair<Enum, std::string_view> (&rows)[count]) {
  std::array<std::string_view, count> words;
  for (std::size_t i = 0; i < count; ++i) {
    if (static_cast<std::size_t>(rows[i].first) != i) {
      throw "a value is missing, or stands in another place";
    }
    words[i] = rows[i].second;
  }
  return words;
}

}  // namespace

template <>
std::span<const std::string_view> names<Device>() {
  static constexpr auto kWords = words<Device>({
      {Device::automatic, "auto"},
      {Device::cpu, "cpu"},
      {Device::cuda, "cuda"},
  });
  return kWords;
}

template <>
std::span<const std::string_view> names<Precision>() {
  static constexpr auto kWords = words<Precision>({
      {Precision::fp32, "fp32"},
      {Precision::tf32, "tf32"},
      {Precision::bf16, "bf16"},
      {Precision::fp64, "fp64"},
  });
  return kWords;
}

template <>
std::span<const std::string_view> names<Encoder>() {
  static constexpr auto kWords = words<Encoder>({
      {Encoder::resnet18, "resnet18"},
      {Encoder::resnet34, "resnet34"},
      {Encoder::resnet50, "resnet50"},
      {Encoder::resnet101, "resnet101"},
      {Encoder::resnet152, "resnet152"},
  });
  return kWords;
}

template <>
std::span<const std::string_view> names<DepthLoss>() {
  static constexpr auto kWords = words<DepthLoss>({
      {DepthLoss::l1, "L1"},
      {DepthLoss::mse, "MSE"},
      {DepthLoss::log_l1, "logL1"},
      {DepthLoss::smooth_l1, "smoothL1"},
  });
  return kWords;
}

template <>
std::span<const std::string_view> names<TransferredDepthLoss>() {
  static constexpr auto kWords = words<TransferredDepthLoss>({
      {TransferredDepthLoss::l1, "L1"},
      {TransferredDepthLoss::ssim, "ssim"},
  });
  return kWords;
}

template <>
std::span<const std::string_view> names<TransferredSegmentationLoss>() {
  static constexpr auto kWords = words<TransferredSegmentationLoss>({
      {TransferredSegmentationLoss::cross, "cross"},
      {TransferredSegmentationLoss::kl, "kl"},
  });
  return kWords;
}

template <>
std::span<const std::string_view> names<WeightedParameters>() {
  static constexpr auto kWords = words<WeightedParameters>({
      {WeightedParameters::shared, "shared"},
      {WeightedParameters::all, "all"},
  });
  return kWords;
}

template <>
std::span<const std::string_view> names<GradientNormalisation>() {
  static constexpr auto kWords = words<GradientNormalisation>({
      {GradientNormalisation::none, "none"},
      {GradientNormalisation::l2, "l2"},
      {GradientNormalisation::loss, "loss"},
      {GradientNormalisation::loss_and_l2, "loss+"},
  });
  return kWords;
}

}  // namespace xtasc::config
