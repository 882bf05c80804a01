#include "sweep/work.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.hpp"

namespace xtasc::sweep {

namespace {

/// Adds up multiply-adds, layer by layer; the shapes are those of src/model, whose files know torch.
struct Layers {
  double total = 0.0;

  /// \param pixels  of the output
  void convolution(std::int64_t in, std::int64_t out, std::int64_t kernel, double pixels) {
    total += static_cast<double>(in * out * kernel * kernel) * pixels;
  }
};

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

double stem_work(double pixels) {
  Layers layers;
  layers.convolution(3, kStemWidth, 7, pixels / 4);
  return layers.total;
}

double encoder_work(config::Encoder encoder, double pixels) {
  const EncoderShape shape = encoder_shape(encoder);
  const auto channels = feature_channels(encoder);
  Layers layers;
  std::int64_t in = kStemWidth;
  double area = pixels / 16;  // stage 1 works on a quarter of height and width
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const std::int64_t out = channels[stage + 1];
    const std::int64_t width = std::int64_t{64} << stage;
    const double area_before = area;
    area = stage == 0 ? area : area / 4;
    for (std::int64_t index = 0; index < shape.blocks[stage]; ++index) {
      const bool is_first = index == 0;
      if (shape.expansion == 4) {
        layers.convolution(in, width, 1, is_first ? area_before : area);  // the stride is in the 3 x 3
        layers.convolution(width, width, 3, area);
        layers.convolution(width, out, 1, area);
      } else {
        layers.convolution(in, out, 3, area);
        layers.convolution(out, out, 3, area);
      }
      if (in != out) {
        layers.convolution(in, out, 1, area);
      }
      in = out;
    }
  }
  return stem_work(pixels) + layers.total;
}

double decoder_work(config::Encoder encoder, std::int64_t width, std::int64_t out, double pixels) {
  const auto skips = feature_channels(encoder);
  Layers layers;
  double area = pixels / 1024;
  for (std::size_t block = 0; block < 5; ++block, area *= 4) {
    layers.convolution(block == 0 ? skips[4] : width + skips[4 - block], width, 3, area);
    layers.convolution(width, width, 3, area);
    layers.convolution(width, width, 3, area);
  }
  layers.convolution(width, out, 1, pixels);
  return layers.total;
}

double transfer_work(const std::vector<std::int64_t>& widths, std::int64_t in, std::int64_t out, double pixels) {
  Layers layers;
  const auto pair = [&layers](std::int64_t from, std::int64_t to, double area) {
    layers.convolution(from, to, 3, area);
    layers.convolution(to, to, 3, area);
  };
  pair(in, widths[0], pixels);
  pair(widths[0], widths[1], pixels / 4);
  pair(widths[1], widths[2], pixels / 16);
  pair(widths[2], widths[1], pixels / 16);
  pair(2 * widths[1], widths[0], pixels / 4);
  pair(2 * widths[0], widths[0], pixels);
  layers.convolution(widths[0], out, 1, pixels);
  return layers.total;
}

/// Methods that combine the tasks' gradients go back through the encoder once for each.
bool needs_gradient_of_each_task(config::Weighting method) {
  using enum config::Weighting;
  return method == pcgrad || method == cagrad || method == mgda || method == imtl_g || method == imtl;
}

}  // namespace

ImageWork work_of_image(const config::RunConfig& config, std::int64_t height, std::int64_t width,
                        std::int64_t classes) {
  const config::ModelSection& model = config.model;
  const auto pixels = static_cast<double>(height * width);
  ImageWork work = {.encoder = encoder_work(model.encoder, pixels)};
  if (config::has_segmentation(model.system)) {
    work.decoders += decoder_work(model.encoder, model.decoder_width, classes, pixels);
  }
  if (config::has_depth(model.system)) {
    work.decoders += decoder_work(model.encoder, model.decoder_width, 1, pixels);
  }
  if (config::has_transfer(model.system)) {
    work.transfer_nets =
        transfer_work(model.ttnet_widths, classes, 1, pixels) + transfer_work(model.ttnet_widths, 1, classes, pixels);
  }
  work.forward = work.encoder + work.decoders + work.transfer_nets;
  // Backward costs a forward for the inputs and one for the weights; nobody asks for the image's gradient.
  work.step = 3 * work.forward - stem_work(pixels);
  if (needs_gradient_of_each_task(config.weighting.method)) {
    work.step += 2 * work.encoder - stem_work(pixels);
  }
  if (config.weighting.method == config::Weighting::famo) {
    work.step += work.forward;  // the batch's losses after the move
  }
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
