#include "config/enums.hpp"

#include <array>

namespace xtasc::config {

template <>
std::span<const std::string_view> names<Device>() {
  static constexpr std::array<std::string_view, 3> kNames = {"auto", "cpu", "cuda"};
  return kNames;
}

template <>
std::span<const std::string_view> names<Precision>() {
  static constexpr std::array<std::string_view, 4> kNames = {"fp32", "tf32", "bf16", "fp64"};
  return kNames;
}

template <>
std::span<const std::string_view> names<Encoder>() {
  static constexpr std::array<std::string_view, 5> kNames = {"resnet18", "resnet34", "resnet50", "resnet101",
                                                             "resnet152"};
  return kNames;
}

template <>
std::span<const std::string_view> names<DepthLoss>() {
  static constexpr std::array<std::string_view, 4> kNames = {"L1", "MSE", "logL1", "smoothL1"};
  return kNames;
}

template <>
std::span<const std::string_view> names<TransferredDepthLoss>() {
  static constexpr std::array<std::string_view, 2> kNames = {"L1", "ssim"};
  return kNames;
}

template <>
std::span<const std::string_view> names<TransferredSegmentationLoss>() {
  static constexpr std::array<std::string_view, 2> kNames = {"cross", "kl"};
  return kNames;
}

template <>
std::span<const std::string_view> names<WeightedParameters>() {
  static constexpr std::array<std::string_view, 2> kNames = {"shared", "all"};
  return kNames;
}

template <>
std::span<const std::string_view> names<GradientNormalisation>() {
  static constexpr std::array<std::string_view, 4> kNames = {"none", "l2", "loss", "loss+"};
  return kNames;
}

}  // namespace xtasc::config
