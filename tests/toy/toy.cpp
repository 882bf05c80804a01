#include "toy/toy.hpp"

#include <ATen/ATen.h>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/random.hpp"
#include "model/batch_norm.hpp"
#include "model/network.hpp"
#include "net/networks.hpp"
#include "support/nets.hpp"
#include "toy/toy_rows.hpp"
#include "weighting/task_weighting.hpp"

namespace xtasc::test {

namespace {

constexpr std::int64_t kWidth = 8;

/// Every transfer there can be, by the places of the tasks.
std::vector<std::pair<std::size_t, std::size_t>> pairs_of(std::size_t num_tasks) {
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t from = 0; from < num_tasks; ++from) {
    for (std::size_t to = 0; to < num_tasks; ++to) {
      if (from != to) {
        pairs.emplace_back(from, to);
      }
    }
  }
  return pairs;
}

struct ToyLayers {
  net::Convolution trunk, mixer;
  std::vector<net::Convolution> branches, heads;  ///< one a task
  std::vector<net::Convolution> transfer_nets;    ///< one a transfer

  explicit ToyLayers(const net::Choice& choice) {
    const auto num_tasks = static_cast<std::int64_t>(choice.tasks.size());
    trunk = {.name = "trunk.conv", .in = 3, .out = kWidth, .norm = "trunk.norm", .sees_image = true};
    mixer = {.name = "mixer", .in = kWidth, .out = kWidth, .uses = num_tasks};
    trunk.reached_by = num_tasks;  // and each use of the mixer by one
    for (const task::Task& task : choice.tasks) {
      branches.push_back({.name = fmt::format("{}_branch", task.key), .in = kWidth, .out = kWidth});
      heads.push_back({.name = fmt::format("{}_head", task.key), .in = kWidth, .out = choice.channels(task)});
      heads.back().part = net::Part::decoders;
    }
    if (!config::system_of(choice.section).has_transfer()) {
      return;
    }
    for (const auto& [from, to] : pairs_of(choice.tasks.size())) {
      transfer_nets.push_back({.name = fmt::format("{}_to_{}", choice.tasks[from].key, choice.tasks[to].key),
                               .in = choice.channels(choice.tasks[from]),
                               .out = choice.channels(choice.tasks[to]),
                               .part = net::Part::transfer_nets});
    }
  }

  [[nodiscard]] static std::vector<net::Convolution> all(const net::Choice& choice) {
    const ToyLayers layers(choice);
    std::vector<net::Convolution> all = {layers.trunk, layers.mixer};
    for (const auto* some : {&layers.branches, &layers.heads, &layers.transfer_nets}) {
      all.insert(all.end(), some->begin(), some->end());
    }
    return all;
  }
};

class ToyNet final : public model::Network {
 public:
  ToyNet(const model::NetworkOptions& options, const ToyLayers& layers)
      : Network(options.choice, {options.seed, options.device, options.dtype}),
        has_transfer_(!layers.transfer_nets.empty()),
        trunk_(model::make_convolution(parameters_, layers.trunk)),
        norm_(make_batch_norm(parameters_, layers.trunk.norm, kWidth)) {
    for (const net::Convolution& branch : layers.branches) {  // the shared layer in the middle of what is not
      branches_.push_back(model::make_convolution(parameters_, branch));
      if (branches_.size() == 1) {
        mixer_ = model::make_convolution(parameters_, layers.mixer);
      }
    }
    for (const net::Convolution& head : layers.heads) {
      heads_.push_back(model::make_convolution(parameters_, head));
    }
    for (const net::Convolution& transfer : layers.transfer_nets) {
      transfer_nets_.push_back(model::make_convolution(parameters_, transfer));
    }
    parameters_.flatten();
  }

  [[nodiscard]] model::Predictions forward(const at::Tensor& image_n3hw, const model::Mode& mode) const override {
    check_image(image_n3hw);
    const auto relu = model::Activation::relu;
    const at::Tensor image = image_n3hw.contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor shared = model::batch_norm(model::convolve({image, {}}, trunk_, mode), norm_, mode, relu);
    model::Predictions predictions;
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      const at::Tensor branch = model::convolve({shared, {}}, branches_[t], mode, relu);
      const at::Tensor mixed = model::convolve({branch, {}}, mixer_, mode, relu);
      predictions.direct.emplace(tasks_[t].key, head(mixed, heads_[t], mode));
    }
    const auto all = transfers();
    for (std::size_t i = 0; i < all.size(); ++i) {
      const at::Tensor from = predictions.of(all[i].from);
      const bool has_classes = task::of_key(all[i].from).kind == task::Kind::classes;
      predictions.transferred.push_back(
          {all[i], head(has_classes ? at::log_softmax(from, 1) : from, transfer_nets_[i], mode)});
    }
    return predictions;
  }

  [[nodiscard]] std::unique_ptr<Network> folded() const override { return std::make_unique<ToyNet>(*this); }
  [[nodiscard]] at::Tensor last_shared_layer() const override { return mixer_.weight; }
  [[nodiscard]] at::Tensor first_own_layer(std::size_t task) const override { return branches_[task].weight; }
  [[nodiscard]] std::vector<model::Transfer> transfers() const override {
    std::vector<model::Transfer> all;
    if (has_transfer_) {
      for (const auto& [from, to] : pairs_of(tasks_.size())) {
        all.push_back({std::string(tasks_[from].key), std::string(tasks_[to].key)});
      }
    }
    return all;
  }

 private:
  static at::Tensor head(const at::Tensor& x, const model::Convolution& layer, const model::Mode& mode) {
    return model::convolve({x, {}}, layer, mode).to(layer.weight.scalar_type());
  }

  bool has_transfer_;
  model::Convolution trunk_;
  model::BatchNorm norm_;
  model::Convolution mixer_;
  std::vector<model::Convolution> branches_, heads_;  ///< one a task
  std::vector<model::Convolution> transfer_nets_;     ///< one a transfer
};

class ToyHalves final : public weighting::TaskWeighting {
 public:
  explicit ToyHalves(const weighting::MethodOptions& options)
      : weights_(at::pow(0.5, at::arange(options.num_tasks, options.tensors))) {}

  weighting::StepWeights weigh(const at::Tensor& losses_t, const weighting::Moment& /*moment*/) override {
    return {weights_, (weights_ * losses_t).sum()};
  }

 private:
  at::Tensor weights_;
};

void add_makers() {
  model::add_network("toy", [](const model::NetworkOptions& options) -> std::unique_ptr<model::Network> {
    return std::make_unique<ToyNet>(options, ToyLayers(options.choice));
  });
  net::add("toy", ToyLayers::all);
  metric::add_task_metrics("flow", make_flow_metrics);
  weighting::add_method("toy_halves",
                        [](const weighting::MethodOptions& options) -> std::unique_ptr<weighting::TaskWeighting> {
                          return std::make_unique<ToyHalves>(options);
                        });
}

}  // namespace

void add_toys() {
  add_toy_rows();
  [[maybe_unused]] static const bool are_added = (add_makers(), true);
}

data::Batch toy_batch(std::uint64_t seed, std::int64_t num_samples, std::int64_t num_classes, std::int64_t height,
                      std::int64_t width) {
  data::Batch batch = random_batch(seed, num_samples, num_classes, height, width);
  const at::Tensor flow = at::empty({num_samples, 2, height, width}, at::kFloat);
  RandomStream stream(seed, Purpose::synthetic_input, 1, 0);
  auto* values = flow.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < flow.numel(); ++i) {  // each channel has gaps of its own
    values[i] = stream.uniform() < 0.1 ? 0.0F : static_cast<float>(stream.uniform(0.2, 3.0));
  }
  batch.targets.emplace("flow", flow);
  return batch;
}

}  // namespace xtasc::test
