#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

// A network's layers by name and shape, without torch: src/model makes tensors of them, `xtasc-sweep plan` and
// `xtasc-inspect model` count them. What is written here is written nowhere else.
namespace xtasc::net {

/// The parts of a forward pass, for who measures them.
enum class Part { encoder, decoders, transfer_nets };

/// "transfer nets".
[[nodiscard]] std::string_view name(Part part);

/// An amount of work for each part of a forward pass.
struct PartWork {
  double encoder = 0.0, decoders = 0.0, transfer_nets = 0.0;

  [[nodiscard]] double& of(Part part);
  [[nodiscard]] double sum() const { return encoder + decoders + transfer_nets; }
};

/// How a new parameter gets its values.
enum class Init {
  zeros,
  ones,
  xavier_normal,   ///< std = sqrt(2 / (fan_in + fan_out))
  xavier_uniform,  ///< of the same deviation, between -sqrt(6 / (fan_in + fan_out)) and its negative
  fan_in_uniform,  ///< between -1 / sqrt(fan_in) and its negative: what PyTorch's convolutions have by default
  unit_uniform,    ///< between 0 and 1
  kaiming_normal,  ///< fan-out, ReLU: std = sqrt(2 / fan_out)
};

/// A convolution that keeps the size at stride 1, and the batch norm behind it. Its tensors, in this order: NAME.weight
/// (out, in, kernel, kernel) and, if wanted, NAME.bias (out); then NORM.weight and NORM.bias (out) and the buffers
/// NORM.running_mean and NORM.running_var (out).
struct Convolution {
  std::string name;
  std::int64_t in = 0, out = 0;
  std::int64_t kernel = 3, stride = 1;
  std::int64_t dilation = 1;  ///< between the pixels that neighbouring taps read
  bool has_bias = true;
  Init init = Init::xavier_normal;
  std::string norm = {};  ///< empty: none

  Part part = Part::encoder;
  std::int64_t shrunk = 1;  ///< the image's sides over the output's
  /// Of the `in` channels, those of up to two tensors that are first made twice as large; the others enter as they are.
  std::array<std::int64_t, 2> upsampled = {};
  bool is_of_mean = false;      ///< reads each channel's mean over the map: one pixel an image
  bool sees_image = false;      ///< nobody asks for the gradient of its input
  std::int64_t uses = 1;        ///< in one forward pass
  std::int64_t reached_by = 1;  ///< tasks whose losses go back through one use of it
  double drawn = 1.0;           ///< share of the steps of training that compute it

  [[nodiscard]] std::int64_t in_as_it_is() const { return in - upsampled[0] - upsampled[1]; }
  /// Height and width of what it gives for an image of height x width.
  [[nodiscard]] std::array<std::int64_t, 2> output_size(std::int64_t height, std::int64_t width) const;
  /// Trainable scalars, with the norm's.
  [[nodiscard]] std::int64_t num_parameters() const;
  /// Of one image of height x width, forward, all uses, in the plain form.
  [[nodiscard]] double multiply_adds(std::int64_t height, std::int64_t width) const;
};

}  // namespace xtasc::net
