#include "model/nets/cross_stitch.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "core/error.hpp"
#include "model/segnet.hpp"
#include "net/cross_stitch.hpp"

namespace xtasc::model {

namespace {

using Maps = std::vector<at::Tensor>;  // one a task

/// Mixtures in front of some blocks.
class Stitches {
 public:
  virtual ~Stitches() = default;
  /// \returns what each task's block reads
  [[nodiscard]] virtual Maps mix(std::size_t place, const Maps& maps) const = 0;
};

at::Tensor sum_of(const Maps& maps) {
  at::Tensor sum = maps.front();
  for (std::size_t t = 1; t < maps.size(); ++t) {
    sum = sum + maps[t];
  }
  return sum;
}

/// One factor a source, the same mixture for all: (places, T).
class SharedStitches final : public Stitches {
 public:
  SharedStitches(ParameterSet& set, const std::string& name, const std::vector<std::int64_t>& channels,
                 std::size_t num_tasks)
      : factors_(set.parameter(name, {static_cast<std::int64_t>(channels.size()), static_cast<std::int64_t>(num_tasks)},
                               Init::ones)) {}

  [[nodiscard]] Maps mix(std::size_t place, const Maps& maps) const override {
    Maps scaled;
    for (std::size_t t = 0; t < maps.size(); ++t) {
      // A scalar takes the map's type in the product.
      scaled.push_back(maps[t] *
                       factors_.select(0, static_cast<std::int64_t>(place)).select(0, static_cast<std::int64_t>(t)));
    }
    return Maps(maps.size(), sum_of(scaled));
  }

 private:
  at::Tensor factors_;
};

/// A factor for each target, source and channel: NAME.PLACE (T, T, C).
class StitchesByChannel final : public Stitches {
 public:
  StitchesByChannel(ParameterSet& set, const std::string& name, const std::vector<std::int64_t>& channels,
                    std::size_t num_tasks) {
    const auto tasks = static_cast<std::int64_t>(num_tasks);
    const c10::NoGradGuard no_grad;
    for (std::size_t place = 0; place < channels.size(); ++place) {
      factors_.push_back(set.parameter(fmt::format("{}.{}", name, place), {tasks, tasks, channels[place]}, Init::ones));
      factors_.back().fill_(kOthers / static_cast<double>(tasks - 1));
      factors_.back().diagonal().fill_(1.0 - kOthers);
    }
  }

  [[nodiscard]] Maps mix(std::size_t place, const Maps& maps) const override {
    const at::Tensor factors = factors_[place].to(maps.front().scalar_type());
    Maps mixed;
    for (std::size_t to = 0; to < maps.size(); ++to) {
      Maps scaled;
      for (std::size_t from = 0; from < maps.size(); ++from) {
        const at::Tensor of_channels =
            factors.select(0, static_cast<std::int64_t>(to)).select(0, static_cast<std::int64_t>(from));
        scaled.push_back(maps[from] * of_channels.view({1, -1, 1, 1}));
      }
      mixed.push_back(sum_of(scaled));
    }
    return mixed;
  }

 private:
  static constexpr double kOthers = 0.1;
  std::vector<at::Tensor> factors_;
};

std::shared_ptr<const Stitches> make_stitches(ParameterSet& set, config::CrossStitchForm form, const std::string& name,
                                              const std::vector<std::int64_t>& channels, std::size_t num_tasks) {
  switch (form) {
    case config::CrossStitchForm::mtan:
      return std::make_shared<SharedStitches>(set, name, channels, num_tasks);
    case config::CrossStitchForm::misra:
      return std::make_shared<StitchesByChannel>(set, name, channels, num_tasks);
  }
  fail("unknown form of cross-stitch {}", static_cast<int>(form));
}

class CrossStitchNet final : public Network {
 public:
  CrossStitchNet(const NetworkOptions& options, const net::CrossStitch& layers)
      : Network(options.choice, {options.seed, options.device, options.dtype}) {
    constexpr auto kChannels = net::kSegNetChannels;
    const config::CrossStitchForm form = options.choice.section.cross_stitch;
    for (const net::Blocks& own : layers.of_tasks) {
      of_tasks_.emplace_back(parameters_, own);
    }
    heads_ = make_chains(parameters_, layers.heads);
    // Behind all convolutions: their few elements would leave every weight behind them unaligned.
    down_ =
        make_stitches(parameters_, form, "cs_unit_encoder", {kChannels.begin(), kChannels.end() - 1}, tasks_.size());
    up_ = make_stitches(parameters_, form, "cs_unit_decoder", {kChannels.rbegin(), kChannels.rend()}, tasks_.size());
    parameters_.flatten();
  }

  [[nodiscard]] Predictions forward(const at::Tensor& image_n3hw, const Mode& mode) const override {
    check_image(image_n3hw);
    const std::size_t num_tasks = of_tasks_.size();
    mode.enter(Part::encoder);
    std::vector<std::array<at::Tensor, 5>> which(num_tasks);
    Maps x(num_tasks, image_n3hw.contiguous(at::MemoryFormat::ChannelsLast));
    for (std::size_t i = 0; i < 5; ++i) {
      x = i == 0 ? x : down_->mix(i - 1, x);
      for (std::size_t t = 0; t < num_tasks; ++t) {
        const kernels::MaxPooled pooled = of_tasks_[t].down(i, {x[t], {}}, mode);
        x[t] = pooled.values;
        which[t][i] = pooled.which;
      }
    }
    mode.enter(Part::decoders);
    for (std::size_t i = 5; i-- > 0;) {
      x = up_->mix(4 - i, x);
      for (std::size_t t = 0; t < num_tasks; ++t) {
        x[t] = of_tasks_[t].decoder[i].forward({kernels::unpool_2x2(x[t], which[t][i]), {}}, mode);
      }
    }
    Predictions predictions;
    for (std::size_t t = 0; t < num_tasks; ++t) {
      predictions.direct.emplace(tasks_[t].key, heads_[t].forward({x[t], {}}, mode).to(parameters_.dtype()));
    }
    return predictions;
  }

  [[nodiscard]] std::unique_ptr<Network> folded() const override {
    auto net = std::make_unique<CrossStitchNet>(*this);
    std::ranges::for_each(net->of_tasks_, &BlocksOfNet::fold_norms);
    return net;
  }

  [[nodiscard]] at::Tensor last_shared_layer() const override { return of_tasks_[0].decoder[1].last_weight(); }
  [[nodiscard]] at::Tensor first_own_layer(std::size_t task) const override {
    return of_tasks_[task].decoder[0].first_weight();
  }

 private:
  std::shared_ptr<const Stitches> down_, up_;
  std::vector<BlocksOfNet> of_tasks_;
  std::vector<Chain> heads_;  ///< one a task
};

}  // namespace

std::unique_ptr<Network> make_cross_stitch(const NetworkOptions& options) {
  return std::make_unique<CrossStitchNet>(options, net::cross_stitch(options.choice));
}

}  // namespace xtasc::model
