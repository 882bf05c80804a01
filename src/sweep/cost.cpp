#include "sweep/cost.hpp"

#include <array>

#include "core/error.hpp"
#include "core/process.hpp"
#include "net/work.hpp"
#include "pack/reader.hpp"
#include "run/config_values.hpp"
#include "run/metrics_log.hpp"
#include "run/provenance.hpp"
#include "run/run_folder.hpp"
#include "run/run_id.hpp"
#include "sweep/local/slots.hpp"
#include "sweep/work.hpp"

namespace fs = std::filesystem;

namespace xtasc::sweep {

namespace {

/// The same for runs that differ in their seed only; their files are compared by themselves.
std::string exact_key(const config::RunConfig& config) {
  std::string text;
  for (const auto& [key, value] : config::deciding_keys(config)) {
    if (key != "run.seed" && !run::is_digest_key(key)) {
      text += fmt::format("{} = {}\n", key, value);
    }
  }
  return text;
}

/// What decides the time of an epoch: images, net, batch, precision, and the passes that the weighting needs.
std::string similar_key(const config::RunConfig& config) {
  std::string text;
  for (const auto& [key, value] : config::deciding_keys(config)) {
    const bool decides = key.starts_with("data.") || key.starts_with("model.") || key == "run.device" ||
                         key == "run.precision" || key == "train.batch_size" || key == "train.accumulate";
    if (decides && !run::is_digest_key(key)) {
      text += fmt::format("{} = {}\n", key, value);
    }
  }
  const net::ImageWork work = net::work_of_image(config, 32, 32, 2);
  return text + fmt::format("{}", work.step / work.forward);
}

/// Whether two files are the same: by what they hold, where that is known of both, else by where they lie.
bool is_same_file(const std::string& digest, const std::string& path, const std::string& other_digest,
                  const std::string& other_path) {
  return digest.empty() || other_digest.empty() ? path == other_path : digest == other_digest;
}

double seconds_of(const run::EpochRecord& record) {
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
  switch (source) {
    case CostSource::measured:
      return "measured";
    case CostSource::similar:
      return "similar run";
    case CostSource::modelled:
      return "modelled";
    case CostSource::unknown:
      return "unknown";
  }
  return "";
}

CostModel::CostModel(const fs::path& results, double flops_per_rank) : flops_per_rank_(flops_per_rank) {
  std::error_code ignored;
  if (!fs::is_directory(results, ignored)) {
    return;
  }
  for (const run::RunFolder& run : run::find_runs(results)) {
    try {
      const auto epochs = run::read_metrics(run.metrics());
      const config::RunConfig config = run::read_config_of(run);
      const run::Provenance provenance = run::read_provenance(run.provenance());
      double seconds = 0.0;
      for (const run::EpochRecord& epoch : epochs) {
        seconds += seconds_of(epoch);
      }
      if (!epochs.empty() && seconds > 0.0) {
        measured_.push_back(
            {.id = run.root.filename().string(),
             .exact_key = exact_key(config),
             .similar_key = similar_key(config),
             .pack = config.data.pack,
             .pack_digest = provenance.pack_digest.empty() ? config.data.pack_digest : provenance.pack_digest,
             .weights = config.model.encoder_weights,
             .weights_digest = config.model.encoder_weights_digest,
             .seconds_per_epoch = seconds / static_cast<double>(epochs.size()),
             .num_epochs = static_cast<std::int64_t>(epochs.size()),
             .ranks = provenance.world_size});
      }
    } catch (const Error&) {
      continue;  // not started yet, or broken: nothing to learn from
    }
  }
}

const CostModel::Measured* CostModel::best(CostSource how, const PlannedRun& run) const {
  const bool is_exact = how == CostSource::measured;
  const std::string key = is_exact ? exact_key(run.config) : similar_key(run.config);
  const config::DataSection& data = run.config.data;
  const config::ModelSection& model = run.config.model;
  const Measured* found = nullptr;
  for (const Measured& other : measured_) {
    const bool has_same_files = is_same_file(data.pack_digest, data.pack, other.pack_digest, other.pack) &&
                                (!is_exact || is_same_file(model.encoder_weights_digest, model.encoder_weights,
                                                           other.weights_digest, other.weights));
    if (has_same_files && (is_exact ? other.exact_key : other.similar_key) == key) {
      if (other.id == run.id) {
        return &other;
      }
      found = found == nullptr || other.num_epochs > found->num_epochs ? &other : found;
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
  const Slot machine = slot_for(run.config, divide(allowed_cores(), visible_gpus(), 1).front());
  RunCost cost{.source = CostSource::unknown,
               .seconds = 0.0,
               .ranks = ranks_in(machine, sweep.ranks, run.config),
               .flop = {},
               .from = {}};
  const std::optional<DataShape> data = shape_of(sweep, run.config);
  if (data) {
    cost.flop = flop_of_run(run.config, *data);
  }
  const Measured* measured = best(CostSource::measured, run);
  cost.source = measured != nullptr ? CostSource::measured : CostSource::unknown;
  if (measured == nullptr) {
    measured = best(CostSource::similar, run);
    cost.source = measured != nullptr ? CostSource::similar : CostSource::unknown;
  }
  if (measured != nullptr) {
    cost.seconds = measured->seconds_per_epoch * epochs_of(run.config, data.value_or(DataShape{}));
    cost.ranks = measured->ranks;
    cost.from = measured->id;
  } else if (cost.flop && flops_per_rank_ > 0.0) {
    cost.source = CostSource::modelled;
    cost.seconds = *cost.flop / (flops_per_rank_ * static_cast<double>(cost.ranks));
  }
  return cost;
}

}  // namespace xtasc::sweep
