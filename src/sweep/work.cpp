#include "sweep/work.hpp"

#include <algorithm>
#include <cmath>

#include "config/methods.hpp"
#include "core/error.hpp"
#include "net/kd4mtl.hpp"
#include "net/networks.hpp"

namespace xtasc::sweep {

namespace {

/// The data without the images that the config holds out.
DataShape trained_on(const config::RunConfig& config, DataShape data) {
  data.train -= config.data.num_held_out(data.train);
  return data;
}

}  // namespace

ExtraPasses extra_passes(const config::RunConfig& config) {
  switch (config::method_of(config.weighting.method).needs) {
    case config::Needs::losses:
    case config::Needs::norms:  // a layer's gradients, which are small beside a pass
    case config::Needs::own_magnitudes:
      return {};
    case config::Needs::gram:
    case config::Needs::vectors:
      return {.backward_by_task = true};
    case config::Needs::losses_after_step:
      return {.forward = 1};
  }
  fail("no work is known for weighting.method = \"{}\"", config.weighting.method);
}

double ExtraPasses::backward(const net::Convolution& layer, double work) const {
  const double one = work * (layer.sees_image ? 1 : 2);
  return one * static_cast<double>(backward_by_task ? layer.reached_by : 1);
}

ImageWork work_of_image(const config::RunConfig& config, std::int64_t height, std::int64_t width,
                        std::int64_t classes) {
  const ExtraPasses extra = extra_passes(config);
  ImageWork work;
  double backward = 0.0;
  double not_drawn = 0.0;
  for (const net::Convolution& layer : net::convolutions_of(config.model, classes)) {
    const double forward = layer.multiply_adds(height, width);
    work.parts.of(layer.part) += forward;
    backward += extra.backward(layer, layer.drawn * forward);
    not_drawn += (1.0 - layer.drawn) * forward;
  }
  work.forward = work.parts.sum();
  const std::vector<config::ModelSection> teachers = net::teachers_of(config.model);
  work.losses = work.forward - (teachers.empty() ? 0.0 : work.parts.transfer_nets);
  for (const config::ModelSection& teacher : teachers) {
    for (const net::Convolution& layer : net::convolutions_of(teacher, classes)) {
      work.teachers += layer.multiply_adds(height, width);
    }
  }
  work.step = work.forward - not_drawn + work.teachers + backward + extra.forward * (work.losses - not_drawn);
  return work;
}

double epochs_of(const config::RunConfig& config, const DataShape& whole) {
  const DataShape data = trained_on(config, whole);
  const auto epochs = static_cast<double>(config.train.epochs);
  if (config.train.max_steps == 0 || data.train == 0) {
    return epochs;
  }
  const double steps = std::ceil(static_cast<double>(data.train) / static_cast<double>(config.train.batch_size));
  return std::min(epochs, static_cast<double>(config.train.max_steps) / steps);
}

double flop_of_run(const config::RunConfig& config, const DataShape& whole) {
  const DataShape data = trained_on(config, whole);
  const ImageWork work = work_of_image(config, data.height, data.width, data.classes);
  const double epochs = epochs_of(config, whole);
  const std::int64_t held_out = whole.train - data.train;
  // Of a run that holds images out, every epoch is judged by these, and the last and the best by the others at the end.
  const double judged = held_out == 0 ? std::ceil(epochs) * static_cast<double>(data.val)
                                      : std::ceil(epochs) * static_cast<double>(held_out) +
                                            std::min(2.0, std::ceil(epochs)) * static_cast<double>(data.val);
  return 2.0 * (epochs * static_cast<double>(data.train) * work.step + judged * work.losses);
}

}  // namespace xtasc::sweep
