#include "net/dense.hpp"

#include "core/error.hpp"

namespace xtasc::net {

Dense dense(const Choice& choice) {
  const auto num_tasks = static_cast<std::int64_t>(choice.tasks.size());
  Dense net{.shared = blocks("", num_tasks, /*joins=*/false), .of_tasks = {}, .heads = {}};
  net.shared.decoder[0].clear();
  for (std::int64_t t = 0; t < num_tasks; ++t) {
    net.of_tasks.push_back(blocks(fmt::format("_t.{}", t), 1, /*joins=*/true));
  }
  net.heads = segnet_heads(choice, Init::xavier_uniform);
  return net;
}

Chain dense_convolutions(const Choice& choice) {
  const Dense net = dense(choice);
  Chain all;
  append(all, net.shared.encoder);
  append(all, net.shared.decoder);
  for (const auto place : {&Blocks::encoder, &Blocks::decoder}) {
    for (const Blocks& own : net.of_tasks) {
      append(all, own.*place);
    }
  }
  append(all, net.heads);
  return all;
}

std::vector<std::string> dense_unread(const Choice& /*choice*/) {
  return {"logsigma", "decoder_block.0."};
}

}  // namespace xtasc::net
