#include "sweep/cost.hpp"

#include <array>
#include <sstream>

#include "core/error.hpp"
#include "pack/reader.hpp"
#include "results/metrics_log.hpp"
#include "results/provenance.hpp"
#include "results/run_folder.hpp"
#include "sweep/work.hpp"

namespace fs = std::filesystem;

namespace xtasc::sweep {

namespace {

/// The same for runs that differ in their seed only.
std::string exact_key(config::RunConfig config) {
  config.run.seed = 0;
  return config::identity_text(config);
}

/// What decides the time of an epoch: images, net, batch, precision, and the passes that the weighting needs.
std::string similar_key(const config::RunConfig& config) {
  std::istringstream lines(config::identity_text(config));
  std::string key;
  for (std::string line; std::getline(lines, line);) {
    const bool decides = line.starts_with("data.") || line.starts_with("model.") || line.starts_with("run.device") ||
                         line.starts_with("run.precision") || line.starts_with("train.batch_size");
    if (decides && !line.starts_with("model.encoder_weights")) {
      key += line + "\n";
    }
  }
  const ImageWork work = work_of_image(config, 32, 32, 2);
  return key + fmt::format("{}", work.step / work.forward);
}

double seconds_of(const results::EpochRecord& record) {
  double seconds = 0.0;
  for (const auto& [phase, duration] : record.seconds) {
    seconds += duration;
  }
  return seconds;
}

std::optional<DataShape> shape_of_pack(const std::string& path, const std::string& label_set) {
  std::error_code ignored;
  if (path.empty() || !fs::is_regular_file(path, ignored)) {
    return std::nullopt;
  }
  try {
    const pack::Reader pack(path);
    const pack::Schema& schema = pack.schema();
    for (const pack::LabelSet& labels : schema.label_sets) {
      if (label_set.empty() || labels.name == label_set) {
        return DataShape{.train = pack.size(pack::Split::train),
                         .val = pack.size(pack::Split::val),
                         .height = schema.height,
                         .width = schema.width,
                         .classes = static_cast<std::int64_t>(labels.class_names.size())};
      }
    }
  } catch (const Error&) {
    return std::nullopt;  // the run will say what is wrong with it
  }
  return std::nullopt;
}

}  // namespace

std::string_view name(CostSource source) {
  constexpr std::array<std::string_view, 4> kNames = {"measured", "similar run", "modelled", "unknown"};
  return kNames[static_cast<std::size_t>(source)];
}

CostModel::CostModel(const fs::path& results, double flops_per_rank) : flops_per_rank_(flops_per_rank) {
  std::error_code ignored;
  if (!fs::is_directory(results, ignored)) {
    return;
  }
  for (const results::RunFolder& run : results::find_runs(results)) {
    try {
      const auto epochs = results::read_metrics(run.metrics());
      const config::RunConfig config = config::read_run_config(run.config());
      double seconds = 0.0;
      for (const results::EpochRecord& epoch : epochs) {
        seconds += seconds_of(epoch);
      }
      if (!epochs.empty() && seconds > 0.0) {
        measured_.push_back({.id = run.root.filename().string(),
                             .exact_key = exact_key(config),
                             .similar_key = similar_key(config),
                             .seconds_per_epoch = seconds / static_cast<double>(epochs.size()),
                             .num_epochs = static_cast<std::int64_t>(epochs.size()),
                             .ranks = results::read_provenance(run.provenance()).world_size});
      }
    } catch (const Error&) {
      continue;  // not started yet, or broken: nothing to learn from
    }
  }
}

const CostModel::Measured* CostModel::best(const std::string Measured::*key, const std::string& value,
                                           const std::string& own_id) const {
  const Measured* found = nullptr;
  for (const Measured& run : measured_) {
    if (run.*key == value) {
      if (run.id == own_id) {
        return &run;
      }
      found = found == nullptr || run.num_epochs > found->num_epochs ? &run : found;
    }
  }
  return found;
}

std::optional<DataShape> CostModel::shape_of(const Sweep& sweep, const config::RunConfig& config) const {
  const std::string key = config.data.pack + "\n" + config.data.label_set;
  auto found = packs_.find(key);
  if (found == packs_.end()) {
    found = packs_.emplace(key, shape_of_pack(config.data.pack, config.data.label_set)).first;
  }
  return found->second ? found->second : sweep.data;
}

RunCost CostModel::cost_of(const Sweep& sweep, const PlannedRun& run) const {
  RunCost cost{.source = CostSource::unknown, .seconds = 0.0, .ranks = sweep.ranks, .flop = {}, .from = {}};
  const std::optional<DataShape> data = shape_of(sweep, run.config);
  if (data) {
    cost.flop = flop_of_run(run.config, *data);
  }
  const Measured* measured = best(&Measured::exact_key, exact_key(run.config), run.id);
  cost.source = measured != nullptr ? CostSource::measured : CostSource::unknown;
  if (measured == nullptr) {
    measured = best(&Measured::similar_key, similar_key(run.config), run.id);
    cost.source = measured != nullptr ? CostSource::similar : CostSource::unknown;
  }
  if (measured != nullptr) {
    cost.seconds = measured->seconds_per_epoch * epochs_of(run.config, data.value_or(DataShape{}));
    cost.ranks = measured->ranks;
    cost.from = measured->id;
  } else if (cost.flop && flops_per_rank_ > 0.0) {
    cost.source = CostSource::modelled;
    cost.seconds = *cost.flop / (flops_per_rank_ * static_cast<double>(sweep.ranks));
  }
  return cost;
}

}  // namespace xtasc::sweep
