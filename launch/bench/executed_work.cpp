#include "launch/bench/executed_work.hpp"

#include <ATen/ATen.h>

#include "kernels/upsample/upsampled_convolution.hpp"
#include "kernels/winograd/winograd.hpp"
#include "model/layers.hpp"
#include "net/kd4mtl.hpp"
#include "net/networks.hpp"
#include "net/work.hpp"

namespace xtasc::launch {

namespace {

enum class Form { plain, winograd, at_low_size };

struct Pass {
  Form form = Form::plain;
  double multiply_adds = 0.0;
};

/// Asks the kernels' own conditions about tensors of a layer's shapes.
class Forms {
 public:
  Forms(const StepShape& shape, at::Device device, at::ScalarType storage, const model::Mode& mode)
      : shape_(shape), options_(at::TensorOptions().dtype(storage).device(device)), mode_(mode) {}

  /// Forward, or one of the two gradients, which take the same form.
  [[nodiscard]] Pass pass(const net::Convolution& layer) const {
    const auto [height, width] = layer.output_size(shape_.height, shape_.width);
    const double plain = static_cast<double>(shape_.images) * layer.multiply_adds(shape_.height, shape_.width);
    if (!mode_.rewrites || shape_.images == 0) {
      return {Form::plain, plain};
    }
    if (layer.kernel == 1) {  // a head in front of its upsample
      return {Form::plain, layer.upsampled[0] > 0 ? plain / 4 : plain};
    }
    const kernels::Convolution convolution = {.weight = at::empty({layer.out, layer.in, layer.kernel, layer.kernel},
                                                                  options_, at::MemoryFormat::ChannelsLast),
                                              .bias = {},
                                              .stride = layer.stride,
                                              .padding = layer.dilation * (layer.kernel / 2),
                                              .dilation = layer.dilation};
    if (layer.upsampled[0] > 0) {
      const kernels::Joined low = {maps(layer.upsampled[0], height / 2, width / 2),
                                   maps(layer.upsampled[1], height / 2, width / 2)};
      const std::int64_t direct = layer.in_as_it_is();
      if (kernels::suits_low_size(low, maps(direct, height, width), convolution, mode_.compute)) {
        return {Form::at_low_size, products(layer, 9, layer.in - direct, height / 2 * (width / 2)) +
                                       products(layer, 16, direct, num_tiles(height, width))};
      }
    }
    const std::int64_t first = layer.upsampled[0] > 0 ? layer.upsampled[0] : layer.in;
    const kernels::Joined x = {maps(first, height, width), maps(layer.in - first, height, width)};
    if (kernels::suits_winograd(x, convolution, mode_.compute)) {
      return {Form::winograd, products(layer, 16, layer.in, num_tiles(height, width))};
    }
    const auto reading = [&layer](std::int64_t pixels) {
      return static_cast<double>(kernels::reading_taps(layer.kernel, layer.dilation, pixels)) /
             static_cast<double>(layer.kernel);
    };
    return {Form::plain, plain * reading(height) * reading(width)};
  }

 private:
  /// Tensors of the wanted shape without its memory; undefined for no channels.
  [[nodiscard]] at::Tensor maps(std::int64_t channels, std::int64_t height, std::int64_t width) const {
    return channels == 0 ? at::Tensor() : at::empty({1}, options_).expand({shape_.images, channels, height, width});
  }

  [[nodiscard]] static std::int64_t num_tiles(std::int64_t height, std::int64_t width) {
    return (height + 1) / 2 * ((width + 1) / 2);
  }

  [[nodiscard]] double products(const net::Convolution& layer, std::int64_t taps, std::int64_t in,
                                std::int64_t places) const {
    return static_cast<double>(shape_.images * places) * static_cast<double>(taps * in * layer.out * layer.uses);
  }

  StepShape shape_;
  at::TensorOptions options_;
  model::Mode mode_;
};

}  // namespace

ExecutedWork executed_work(const config::RunConfig& config, const StepShape& shape, at::Device device,
                           at::ScalarType storage, at::ScalarType compute) {
  const Forms forms(shape, device, storage, {.compute = compute, .rewrites = config.train.rewrites});
  const net::ExtraPasses extra = net::extra_passes(config);
  ExecutedWork work;
  for (const net::Convolution& layer : net::convolutions_of(config.model, shape.num_classes)) {
    const auto [form, forward] = forms.pass(layer);
    ++(form == Form::plain ? work.plain : form == Form::winograd ? work.winograd : work.at_low_size);
    work.backward += extra.backward(layer, forward);
    work.parts.of(layer.part) += forward;
    if (config.train.activation_checkpointing && layer.part == net::Part::transfer_nets) {
      work.backward += forward;
    }
  }
  const std::vector<config::ModelSection> teachers = net::teachers_of(config.model);
  for (const config::ModelSection& teacher : teachers) {
    for (const net::Convolution& layer : net::convolutions_of(teacher, shape.num_classes)) {
      work.teachers += forms.pass(layer).multiply_adds;
    }
  }
  work.after = extra.forward * (work.parts.sum() - (teachers.empty() ? 0.0 : work.parts.transfer_nets));
  return work;
}

}  // namespace xtasc::launch
