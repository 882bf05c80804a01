#include "net/xtasc.hpp"

#include <algorithm>

#include "config/systems.hpp"
#include "core/error.hpp"

namespace xtasc::net {

namespace {

Decoder decoder(const std::string& prefix, const std::array<std::int64_t, 5>& features, std::int64_t width,
                std::int64_t out) {
  Decoder decoder;
  for (std::size_t k = 0; k < 5; ++k) {
    for (std::size_t i = 0; i < 3; ++i) {
      Convolution& layer = decoder.blocks[k][i];
      layer = {.name = fmt::format("{}block{}.conv{}", prefix, k + 1, i + 1),
               .in = width,
               .out = width,
               .norm = fmt::format("{}block{}.bn{}", prefix, k + 1, i + 1),
               .part = Part::decoders,
               .shrunk = std::int64_t{32} >> k};
      if (i == 0) {
        layer.upsampled = {k == 0 ? 0 : width, 0};
        layer.in = layer.upsampled[0] + features[4 - k];
      }
    }
  }
  decoder.head = {.name = prefix + "head",
                  .in = width,
                  .out = out,
                  .kernel = 1,
                  .has_bias = false,
                  .part = Part::decoders,
                  .upsampled = {width, 0}};
  return decoder;
}

TransferNet transfer_net(const std::string& prefix, std::int64_t in, std::int64_t out,
                         const config::ModelSection& section) {
  const auto& w = section.ttnet_widths;
  check(w.size() == 3, "a task-transfer net has 3 widths, found {}", w.size());
  const auto pair = [&](const std::string& name, std::array<std::int64_t, 2> upsampled, std::int64_t from,
                        std::int64_t to, std::int64_t shrunk) {
    std::array<Convolution, 2> both;
    for (std::size_t i = 0; i < 2; ++i) {
      both[i] = {.name = fmt::format("{}{}.conv{}", prefix, name, i + 1),
                 .in = i == 0 ? upsampled[0] + upsampled[1] + from : to,
                 .out = to,
                 .norm = section.ttnet_batch_norm ? fmt::format("{}{}.bn{}", prefix, name, i + 1) : "",
                 .part = Part::transfer_nets,
                 .shrunk = shrunk};
    }
    both[0].upsampled = upsampled;
    return both;
  };
  TransferNet net;
  net.down = {pair("down1", {}, in, w[0], 1), pair("down2", {}, w[0], w[1], 2), pair("down3", {}, w[1], w[2], 4)};
  // Each skip is the pooled output of the way down, joined before the next upsample.
  net.up = {pair("up1", {w[2], 0}, 0, w[1], 4), pair("up2", {w[1], w[1]}, 0, w[0], 2),
            pair("up3", {w[0], w[0]}, 0, w[0], 1)};
  net.head = {
      .name = prefix + "head", .in = w[0], .out = out, .kernel = 1, .has_bias = false, .part = Part::transfer_nets};
  return net;
}

}  // namespace

Xtasc xtasc(const Choice& choice) {
  const config::ModelSection& section = choice.section;
  const auto num_tasks = choice.tasks.size();
  Xtasc net = {.encoder = resnet("encoder.", section.encoder, static_cast<std::int64_t>(num_tasks)),
               .decoders = {},
               .transfer_nets = {}};
  for (const task::Task& task : choice.tasks) {
    net.decoders.push_back(decoder(fmt::format("{}_decoder.", task.key), net.encoder.channels(), section.decoder_width,
                                   choice.channels(task)));
  }
  if (!config::system_of(section).has_transfer()) {
    return net;
  }
  for (const auto& [from, to] : transfers_of(choice)) {
    const task::Task& source = choice.tasks[from];
    const task::Task& target = choice.tasks[to];
    net.transfer_nets.push_back(transfer_net(fmt::format("{}_to_{}.", source.key, target.key), choice.channels(source),
                                             choice.channels(target), section));
    net.transfer_nets.back().from = from;
    net.transfer_nets.back().to = to;
  }
  return net;
}

std::vector<std::pair<std::size_t, std::size_t>> transfers_of(const Choice& choice) {
  const config::ModelSection& section = choice.section;
  const std::size_t num_tasks = choice.tasks.size();
  const auto is_there = [&](std::size_t from, std::size_t to) {
    if (from == to) {
      return false;
    }
    if (!section.transfer_pairs.empty()) {
      const std::string pair = fmt::format("{}>{}", choice.tasks[from].key, choice.tasks[to].key);
      return std::ranges::find(section.transfer_pairs, pair) != section.transfer_pairs.end();
    }
    return section.transfer != config::TransferScheme::ring || to == (from + 1) % num_tasks;
  };
  std::vector<std::pair<std::size_t, std::size_t>> transfers;
  for (std::size_t from = 0; from < num_tasks; ++from) {
    for (std::size_t to = 0; to < num_tasks; ++to) {
      if (is_there(from, to)) {
        transfers.emplace_back(from, to);
      }
    }
  }
  return transfers;
}

std::vector<Convolution> xtasc_convolutions(const Choice& choice) {
  const Xtasc net = xtasc(choice);
  std::vector<Convolution> all;
  const auto append = [&all](const auto& layers) { all.insert(all.end(), layers.begin(), layers.end()); };
  net.encoder.append_to(all);
  for (const Decoder& decoder : net.decoders) {
    for (const auto& block : decoder.blocks) {
      append(block);
    }
    all.push_back(decoder.head);
  }
  const std::size_t first_transferred = all.size();
  for (const TransferNet& transfer : net.transfer_nets) {
    for (const auto* pairs : {&transfer.down, &transfer.up}) {
      for (const auto& pair : *pairs) {
        append(pair);
      }
    }
    all.push_back(transfer.head);
  }
  if (choice.section.transfer == config::TransferScheme::sample) {
    const auto others = static_cast<double>(choice.tasks.size() - 1);
    for (std::size_t i = first_transferred; i < all.size(); ++i) {
      all[i].drawn = static_cast<double>(choice.section.transfers_per_task) / others;
    }
  }
  return all;
}

}  // namespace xtasc::net
