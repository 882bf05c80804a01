#include "toy/toy.hpp"

#include <ATen/ATen.h>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/random.hpp"
#include "model/batch_norm.hpp"
#include "model/nets/xtasc.hpp"
#include "model/network.hpp"
#include "support/nets.hpp"
#include "toy/toy_rows.hpp"
#include "weighting/task_weighting.hpp"

namespace xtasc::test {

namespace {

constexpr std::int64_t kWidth = 8;

class ToyNet final : public model::Network {
 public:
  explicit ToyNet(const model::NetworkOptions& options)
      : Network(options.tasks, options.num_classes, {options.seed, options.device, options.dtype}),
        has_transfer_(config::system_of(options.section.system).has_transfer()),
        trunk_(convolution("trunk.conv", 3, kWidth)),
        norm_(make_batch_norm(parameters_, "trunk.norm", kWidth)) {
    for (const task::Task& task : tasks_) {  // the shared layer in the middle of what is not
      branches_.push_back(convolution(fmt::format("{}_branch", task.key), kWidth, kWidth));
      if (branches_.size() == 1) {
        mixer_ = convolution("mixer", kWidth, kWidth);
      }
    }
    for (const task::Task& task : tasks_) {
      heads_.push_back(convolution(fmt::format("{}_head", task.key), kWidth, task.num_channels(num_classes_)));
    }
    for (const model::Transfer& transfer : transfers()) {
      transfer_nets_.push_back(convolution(transfer.name(), task::of_key(transfer.from).num_channels(num_classes_),
                                           task::of_key(transfer.to).num_channels(num_classes_)));
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
  [[nodiscard]] std::vector<model::Transfer> transfers() const override {
    std::vector<model::Transfer> all;
    for (const task::Task& from : tasks_) {
      for (const task::Task& to : tasks_) {
        if (has_transfer_ && from.key != to.key) {
          all.push_back({std::string(from.key), std::string(to.key)});
        }
      }
    }
    return all;
  }

 private:
  model::Convolution convolution(const std::string& name, std::int64_t in, std::int64_t out) {
    return model::make_convolution(parameters_, name, in, out, {});
  }
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
  for (const char* system : {"toy", "toy_st_scene", "toy_st_flow"}) {
    model::add_network(system, [](const model::NetworkOptions& options) -> std::unique_ptr<model::Network> {
      return std::make_unique<ToyNet>(options);
    });
  }
  model::add_network("xtasc_of_three", model::make_xtasc_net);
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
