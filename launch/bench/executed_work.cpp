#include "launch/bench/executed_work.hpp"

#include <ATen/ATen.h>

#include "kernels/upsample/upsampled_convolution.hpp"
#include "kernels/winograd/winograd.hpp"
#include "model/layers.hpp"
#include "sweep/work.hpp"

namespace xtasc::launch {

namespace {

using sweep::ConvolutionShape;
using sweep::NetPart;

enum class Form { plain, winograd, at_low_size };

struct Pass {
  Form form = Form::plain;
  double multiply_adds = 0.0;
};

/// Asks the kernels' own conditions about tensors of a layer's shapes.
class Forms {
 public:
  Forms(std::int64_t images, at::Device device, at::ScalarType storage, const model::Mode& mode)
      : images_(images), options_(at::TensorOptions().dtype(storage).device(device)), mode_(mode) {}

  /// Forward, or one of the two gradients, which take the same form.
  [[nodiscard]] Pass pass(const ConvolutionShape& layer) const {
    const double plain = static_cast<double>(images_) * layer.multiply_adds();
    if (!mode_.rewrites || images_ == 0) {
      return {Form::plain, plain};
    }
    if (layer.kernel == 1) {  // a head in front of its upsample
      return {Form::plain, layer.upsampled[0] > 0 ? plain / 4 : plain};
    }
    const kernels::Convolution convolution = {.weight = at::empty({layer.out, layer.in(), layer.kernel, layer.kernel},
                                                                  options_, at::MemoryFormat::ChannelsLast),
                                              .bias = {},
                                              .stride = layer.stride,
                                              .padding = layer.kernel / 2};
    if (layer.upsampled[0] > 0) {
      const std::int64_t height = layer.height / 2;
      const std::int64_t width = layer.width / 2;
      const kernels::Joined low = {maps(layer.upsampled[0], height, width), maps(layer.upsampled[1], height, width)};
      if (kernels::suits_low_size(low, maps(layer.direct, layer.height, layer.width), convolution, mode_.compute)) {
        const double contracted = products(9, layer.upsampled[0] + layer.upsampled[1], layer.out, height * width);
        return {Form::at_low_size, contracted + products(16, layer.direct, layer.out, num_tiles(layer))};
      }
    }
    const std::int64_t first = layer.upsampled[0] > 0 ? layer.upsampled[0] : layer.direct;
    const kernels::Joined x = {maps(first, layer.height, layer.width),
                               maps(layer.in() - first, layer.height, layer.width)};
    if (kernels::suits_winograd(x, convolution, mode_.compute)) {
      return {Form::winograd, products(16, layer.in(), layer.out, num_tiles(layer))};
    }
    return {Form::plain, plain};
  }

 private:
  /// Tensors of the wanted shape without its memory; undefined for no channels.
  [[nodiscard]] at::Tensor maps(std::int64_t channels, std::int64_t height, std::int64_t width) const {
    return channels == 0 ? at::Tensor() : at::empty({1}, options_).expand({images_, channels, height, width});
  }

  [[nodiscard]] static std::int64_t num_tiles(const ConvolutionShape& layer) {
    return (layer.height + 1) / 2 * ((layer.width + 1) / 2);
  }

  [[nodiscard]] double products(std::int64_t taps, std::int64_t in, std::int64_t out, std::int64_t places) const {
    return static_cast<double>(images_ * places) * static_cast<double>(taps * in * out);
  }

  std::int64_t images_;
  at::TensorOptions options_;
  model::Mode mode_;
};

}  // namespace

ExecutedWork executed_work(const config::RunConfig& config, const StepShape& shape, at::Device device,
                           at::ScalarType storage, at::ScalarType compute) {
  const Forms forms(shape.images, device, storage, {.compute = compute, .rewrites = config.train.rewrites});
  const sweep::ExtraPasses extra = sweep::extra_passes(config);
  ExecutedWork work;
  for (const ConvolutionShape& layer :
       sweep::convolutions_of(config.model, shape.height, shape.width, shape.num_classes)) {
    const auto [form, forward] = forms.pass(layer);
    ++(form == Form::plain ? work.plain : form == Form::winograd ? work.winograd : work.at_low_size);
    const double back = forward * (layer.sees_image ? 1 : 2);
    work.backward += back;
    switch (layer.part) {
      case NetPart::encoder:
        work.encoder += forward;
        work.backward += extra.encoder_backward * back;
        break;
      case NetPart::decoders:
        work.decoders += forward;
        break;
      case NetPart::transfer_nets:
        work.transfer_nets += forward;
        work.backward += config.train.activation_checkpointing ? forward : 0.0;
    }
  }
  work.after = extra.forward * (work.encoder + work.decoders + work.transfer_nets);
  return work;
}

}  // namespace xtasc::launch
