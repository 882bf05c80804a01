#include "sweep/work.hpp"

#include <algorithm>
#include <cmath>

#include "net/work.hpp"

namespace xtasc::sweep {

namespace {

/// The data without the images that the config holds out.
DataShape trained_on(const config::RunConfig& config, DataShape data) {
  data.train -= config.data.num_held_out(data.train);
  return data;
}

}  // namespace

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
  const net::ImageWork work = net::work_of_image(config, data.height, data.width, data.classes);
  const double epochs = epochs_of(config, whole);
  const std::int64_t held_out = whole.train - data.train;
  // Of a run that holds images out, every epoch is judged by these, and the last and the best by the others at the end.
  const double judged = held_out == 0 ? std::ceil(epochs) * static_cast<double>(data.val)
                                      : std::ceil(epochs) * static_cast<double>(held_out) +
                                            std::min(2.0, std::ceil(epochs)) * static_cast<double>(data.val);
  return 2.0 * (epochs * static_cast<double>(data.train) * work.step + judged * work.losses);
}

}  // namespace xtasc::sweep
