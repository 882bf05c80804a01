#include "net/deeplab.hpp"

#include <array>

#include "core/error.hpp"

namespace xtasc::net {

namespace {

constexpr std::int64_t kHeadWidth = 256;
constexpr std::array<std::int64_t, 3> kDistances = {12, 24, 36};

/// The public code's own word for it.
std::string_view word_of(const task::Task& task) {
  return task.name == "normals" ? "normal" : task.name;
}

/// A convolution without a bias, and its norm, numbered NAME.N and NAME.(N + 1).
Convolution normed(const std::string& name, int number, std::int64_t in, std::int64_t kernel = 1) {
  return {.name = fmt::format("{}.{}", name, number),
          .in = in,
          .out = kHeadWidth,
          .kernel = kernel,
          .has_bias = false,
          .init = Init::fan_in_uniform,
          .norm = fmt::format("{}.{}", name, number + 1),
          .part = Part::decoders,
          .shrunk = 8};
}

Deeplab::Head head(const std::string& prefix, std::int64_t in, std::int64_t out) {
  Deeplab::Head head;
  const auto branch = [&](int number) { return fmt::format("{}.0.convs.{}", prefix, number); };
  head.branches.push_back({normed(branch(0), 0, in)});
  for (const std::int64_t distance : kDistances) {
    Convolution layer = normed(branch(static_cast<int>(head.branches.size())), 0, in, 3);
    layer.dilation = distance;
    head.branches.push_back({layer});
  }
  Convolution of_mean = normed(branch(4), 1, in);  // 0 is the mean
  of_mean.is_of_mean = true;
  head.branches.push_back({of_mean});
  const auto joined = static_cast<std::int64_t>(head.branches.size()) * kHeadWidth;
  head.project = {normed(prefix + ".0.project", 0, joined)};
  head.last = {normed(prefix, 1, kHeadWidth, 3)};
  head.last.push_back({.name = prefix + ".4",
                       .in = kHeadWidth,
                       .out = out,
                       .kernel = 1,
                       .init = Init::fan_in_uniform,
                       .part = Part::decoders,
                       .shrunk = 8});
  return head;
}

}  // namespace

Deeplab deeplab(const Choice& choice) {
  const auto num_tasks = static_cast<std::int64_t>(choice.tasks.size());
  Deeplab net = {.encoder = resnet("encoder.", choice.section.encoder, num_tasks, Deep::dilated), .heads = {}};
  for (const task::Task& task : choice.tasks) {
    net.heads.push_back(
        head(fmt::format("decoders.{}", word_of(task)), net.encoder.channels().back(), choice.channels(task)));
  }
  return net;
}

Chain deeplab_convolutions(const Choice& choice) {
  const Deeplab net = deeplab(choice);
  Chain all;
  net.encoder.append_to(all);
  for (const Deeplab::Head& head : net.heads) {
    append(all, head.branches);
    append(all, head.project);
    append(all, head.last);
  }
  return all;
}

}  // namespace xtasc::net
