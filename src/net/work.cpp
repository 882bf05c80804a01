#include "net/work.hpp"

#include "config/methods.hpp"
#include "core/error.hpp"
#include "net/kd4mtl.hpp"
#include "net/networks.hpp"

namespace xtasc::net {

ExtraPasses extra_passes(const config::RunConfig& config) {
  switch (config::method_of(config.weighting.method).needs) {
    case config::Needs::losses:
    // Left out: each task's gradient at one layer, a few percent behind a cut; in a network without one the way back to
    // that layer is walked twice, up to a third of a step.
    case config::Needs::norms:
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

double ExtraPasses::backward(const Convolution& layer, double work) const {
  const double one = work * (layer.sees_image ? 1 : 2);
  return one * static_cast<double>(backward_by_task ? layer.reached_by : 1);
}

ImageWork work_of_image(const config::RunConfig& config, std::int64_t height, std::int64_t width,
                        std::int64_t classes) {
  const ExtraPasses extra = extra_passes(config);
  ImageWork work;
  double backward = 0.0;
  double not_drawn = 0.0;
  for (const Convolution& layer : convolutions_of(config.model, classes)) {
    const double forward = layer.multiply_adds(height, width);
    work.parts.of(layer.part) += forward;
    backward += extra.backward(layer, layer.drawn * forward);
    not_drawn += (1.0 - layer.drawn) * forward;
  }
  work.forward = work.parts.sum();
  const std::vector<config::ModelSection> teachers = teachers_of(config.model);
  work.losses = work.forward - (teachers.empty() ? 0.0 : work.parts.transfer_nets);
  for (const config::ModelSection& teacher : teachers) {
    for (const Convolution& layer : convolutions_of(teacher, classes)) {
      work.teachers += layer.multiply_adds(height, width);
    }
  }
  work.step = work.forward - not_drawn + work.teachers + backward + extra.forward * (work.losses - not_drawn);
  return work;
}

}  // namespace xtasc::net
