#include "sweep/work.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "config/systems.hpp"
#include "core/error.hpp"

namespace xtasc::sweep {

namespace {

struct EncoderShape {
  std::array<std::int64_t, 4> blocks;
  std::int64_t expansion;  ///< 4: bottleneck blocks
};

EncoderShape encoder_shape(config::Encoder encoder) {
  switch (encoder) {
    case config::Encoder::resnet18:
      return {{2, 2, 2, 2}, 1};
    case config::Encoder::resnet34:
      return {{3, 4, 6, 3}, 1};
    case config::Encoder::resnet50:
      return {{3, 4, 6, 3}, 4};
    case config::Encoder::resnet101:
      return {{3, 4, 23, 3}, 4};
    case config::Encoder::resnet152:
      return {{3, 8, 36, 3}, 4};
  }
  fail("unknown encoder {}", static_cast<int>(encoder));
}

constexpr std::int64_t kStemWidth = 64;

std::array<std::int64_t, 5> feature_channels(config::Encoder encoder) {
  const std::int64_t expansion = encoder_shape(encoder).expansion;
  return {kStemWidth, 64 * expansion, 128 * expansion, 256 * expansion, 512 * expansion};
}

/// The layers of the three parts, which are those of src/model, whose files know torch.
class Layers {
 public:
  Layers(std::int64_t height, std::int64_t width) : height_(height), width_(width) {}

  /// \param shrunk  how many times smaller than the image its output is, on each side
  ConvolutionShape& add(NetPart part, std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t shrunk) {
    found_.push_back({.part = part,
                      .kernel = kernel,
                      .direct = in,
                      .out = out,
                      .height = height_ / shrunk,
                      .width = width_ / shrunk});
    return found_.back();
  }

  void add_encoder(config::Encoder encoder);
  void add_decoder(config::Encoder encoder, std::int64_t width, std::int64_t out);
  void add_transfer_net(const std::vector<std::int64_t>& widths, std::int64_t in, std::int64_t out);

  [[nodiscard]] std::vector<ConvolutionShape> found() && { return std::move(found_); }

 private:
  std::int64_t height_, width_;
  std::vector<ConvolutionShape> found_;
};

void Layers::add_encoder(config::Encoder encoder) {
  const EncoderShape shape = encoder_shape(encoder);
  const auto channels = feature_channels(encoder);
  const auto layer = [this](std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t shrunk,
                            std::int64_t stride) { add(NetPart::encoder, in, out, kernel, shrunk).stride = stride; };
  ConvolutionShape& stem = add(NetPart::encoder, 3, kStemWidth, 7, 2);
  stem.stride = 2;
  stem.sees_image = true;
  std::int64_t in = kStemWidth;
  std::int64_t shrunk = 4;
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const std::int64_t out = channels[stage + 1];
    const std::int64_t width = std::int64_t{64} << stage;
    const std::int64_t before = shrunk;
    shrunk = stage == 0 ? shrunk : 2 * shrunk;
    for (std::int64_t index = 0; index < shape.blocks[stage]; ++index) {
      const bool is_first = index == 0;
      const std::int64_t stride = is_first && stage > 0 ? 2 : 1;
      if (shape.expansion == 4) {
        layer(in, width, 1, is_first ? before : shrunk, 1);  // the stride is in the 3 x 3
        layer(width, width, 3, shrunk, stride);
        layer(width, out, 1, shrunk, 1);
      } else {
        layer(in, out, 3, shrunk, stride);
        layer(out, out, 3, shrunk, 1);
      }
      if (in != out) {
        layer(in, out, 1, shrunk, stride);
      }
      in = out;
    }
  }
}

void Layers::add_decoder(config::Encoder encoder, std::int64_t width, std::int64_t out) {
  const auto skips = feature_channels(encoder);
  std::int64_t shrunk = 32;
  for (std::size_t block = 0; block < 5; ++block, shrunk /= 2) {
    ConvolutionShape& first = add(NetPart::decoders, skips[4 - block], width, 3, shrunk);
    if (block > 0) {
      first.upsampled = {width, 0};
    }
    add(NetPart::decoders, width, width, 3, shrunk);
    add(NetPart::decoders, width, width, 3, shrunk);
  }
  add(NetPart::decoders, 0, out, 1, 1).upsampled = {width, 0};
}

void Layers::add_transfer_net(const std::vector<std::int64_t>& widths, std::int64_t in, std::int64_t out) {
  const auto pair = [this](std::int64_t from, std::array<std::int64_t, 2> upsampled, std::int64_t to,
                           std::int64_t shrunk) {
    add(NetPart::transfer_nets, from, to, 3, shrunk).upsampled = upsampled;
    add(NetPart::transfer_nets, to, to, 3, shrunk);
  };
  pair(in, {}, widths[0], 1);
  pair(widths[0], {}, widths[1], 2);
  pair(widths[1], {}, widths[2], 4);
  pair(0, {widths[2], 0}, widths[1], 4);
  pair(0, {widths[1], widths[1]}, widths[0], 2);
  pair(0, {widths[0], widths[0]}, widths[0], 1);
  add(NetPart::transfer_nets, widths[0], out, 1, 1);
}

}  // namespace

double ConvolutionShape::multiply_adds() const {
  return static_cast<double>(in() * out * kernel * kernel) * static_cast<double>(height * width);
}

std::vector<ConvolutionShape> convolutions_of(const config::ModelSection& model, std::int64_t height,
                                              std::int64_t width, std::int64_t classes) {
  Layers layers(height, width);
  const config::System& system = config::system_of(model.system);
  const bool is_known = model.system == "xtasc" || model.system == "align" || model.system.starts_with("base_");
  check(is_known, "the arithmetic of system \"{}\" is not described: no cost can be planned", model.system);
  layers.add_encoder(model.encoder);
  if (system.has("seg")) {
    layers.add_decoder(model.encoder, model.decoder_width, classes);
  }
  if (system.has("depth")) {
    layers.add_decoder(model.encoder, model.decoder_width, 1);
  }
  if (system.has_transfer()) {
    layers.add_transfer_net(model.ttnet_widths, classes, 1);
    layers.add_transfer_net(model.ttnet_widths, 1, classes);
  }
  return std::move(layers).found();
}

ExtraPasses extra_passes(const config::RunConfig& config) {
  const config::Needs needs = config::method_of(config.weighting.method).needs;
  const auto num_tasks = static_cast<int>(config::system_of(config.model.system).tasks.size());
  return {.encoder_backward = needs == config::Needs::gram ? num_tasks - 1 : 0,
          .forward = needs == config::Needs::losses_after_step ? 1 : 0};
}

ImageWork work_of_image(const config::RunConfig& config, std::int64_t height, std::int64_t width,
                        std::int64_t classes) {
  ImageWork work;
  double stem = 0.0;
  for (const ConvolutionShape& layer : convolutions_of(config.model, height, width, classes)) {
    const double multiply_adds = layer.multiply_adds();
    switch (layer.part) {
      case NetPart::encoder:
        work.encoder += multiply_adds;
        break;
      case NetPart::decoders:
        work.decoders += multiply_adds;
        break;
      case NetPart::transfer_nets:
        work.transfer_nets += multiply_adds;
    }
    stem += layer.sees_image ? multiply_adds : 0.0;
  }
  work.forward = work.encoder + work.decoders + work.transfer_nets;
  // Backward costs a forward for the inputs and one for the weights; nobody asks for the image's gradient.
  const ExtraPasses extra = extra_passes(config);
  work.step =
      3 * work.forward - stem + extra.encoder_backward * (2 * work.encoder - stem) + extra.forward * work.forward;
  return work;
}

double epochs_of(const config::RunConfig& config, const DataShape& data) {
  const auto epochs = static_cast<double>(config.train.epochs);
  if (config.train.max_steps == 0 || data.train == 0) {
    return epochs;
  }
  const double steps = std::ceil(static_cast<double>(data.train) / static_cast<double>(config.train.batch_size));
  return std::min(epochs, static_cast<double>(config.train.max_steps) / steps);
}

double flop_of_run(const config::RunConfig& config, const DataShape& data) {
  const ImageWork work = work_of_image(config, data.height, data.width, data.classes);
  const double epochs = epochs_of(config, data);
  return 2.0 * (epochs * static_cast<double>(data.train) * work.step +
                std::ceil(epochs) * static_cast<double>(data.val) * work.forward);
}

}  // namespace xtasc::sweep
