#include "net/resnet.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace xtasc::net {

namespace {

constexpr std::int64_t kStemWidth = 64;

struct Size {
  std::array<std::int64_t, 4> blocks;
  bool has_bottlenecks;
};

Size size_of(config::Encoder encoder) {
  switch (encoder) {
    case config::Encoder::resnet18:
      return {{2, 2, 2, 2}, false};
    case config::Encoder::resnet34:
      return {{3, 4, 6, 3}, false};
    case config::Encoder::resnet50:
      return {{3, 4, 6, 3}, true};
    case config::Encoder::resnet101:
      return {{3, 4, 23, 3}, true};
    case config::Encoder::resnet152:
      return {{3, 8, 36, 3}, true};
  }
  fail("unknown encoder {}", static_cast<int>(encoder));
}

}  // namespace

std::array<std::int64_t, 5> ResNet::channels() const {
  std::array<std::int64_t, 5> all = {stem.out};
  for (std::size_t stage = 0; stage < stages.size(); ++stage) {
    all[stage + 1] = stages[stage].back().convolutions.back().out;
  }
  return all;
}

void ResNet::append_to(std::vector<Convolution>& all) const {
  all.push_back(stem);
  for (const auto& stage : stages) {
    for (const Block& block : stage) {
      all.insert(all.end(), block.convolutions.begin(), block.convolutions.end());
      if (block.downsample) {
        all.push_back(*block.downsample);
      }
    }
  }
}

ResNet resnet(const std::string& prefix, config::Encoder encoder, std::int64_t num_tasks, Deep deep) {
  const auto layer = [&](const std::string& name, const std::string& norm, std::int64_t in, std::int64_t out,
                         std::int64_t kernel, std::int64_t stride, std::int64_t shrunk, std::int64_t dilation = 1) {
    return Convolution{.name = name,
                       .in = in,
                       .out = out,
                       .kernel = kernel,
                       .stride = stride,
                       .dilation = dilation,
                       .has_bias = false,
                       .init = Init::kaiming_normal,
                       .norm = norm,
                       .part = Part::encoder,
                       .shrunk = shrunk,
                       .reached_by = num_tasks};
  };
  const Size size = size_of(encoder);
  ResNet net;
  net.stem = layer(prefix + "conv1", prefix + "bn1", 3, kStemWidth, 7, 2, 2);
  net.stem.sees_image = true;
  std::int64_t in = kStemWidth;
  std::int64_t before = 4;  // behind the max-pool
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const std::int64_t width = std::int64_t{64} << stage;
    const std::int64_t out = size.has_bottlenecks ? 4 * width : width;
    const std::int64_t places = std::int64_t{4} << stage;
    const std::int64_t shrunk = deep == Deep::dilated ? std::min<std::int64_t>(places, 8) : places;
    const std::int64_t distance = places / shrunk;
    for (std::int64_t index = 0; index < size.blocks[stage]; ++index) {
      const std::string name = fmt::format("{}layer{}.{}.", prefix, stage + 1, index);
      const std::int64_t stride = shrunk / before;
      // The convolution that has the stride, or would have it, still reads as the stage before.
      const std::int64_t first_distance = index == 0 ? std::max<std::int64_t>(distance / 2, 1) : distance;
      ResNet::Block block;
      if (size.has_bottlenecks) {
        block.convolutions = {layer(name + "conv1", name + "bn1", in, width, 1, 1, before),
                              layer(name + "conv2", name + "bn2", width, width, 3, stride, shrunk, first_distance),
                              layer(name + "conv3", name + "bn3", width, out, 1, 1, shrunk)};
      } else {
        block.convolutions = {layer(name + "conv1", name + "bn1", in, out, 3, stride, shrunk, first_distance),
                              layer(name + "conv2", name + "bn2", out, out, 3, 1, shrunk, distance)};
      }
      if (in != out) {
        block.downsample = layer(name + "downsample.0", name + "downsample.1", in, out, 1, stride, shrunk);
      }
      net.stages[stage].push_back(std::move(block));
      in = out;
      before = shrunk;
    }
  }
  return net;
}

}  // namespace xtasc::net
