#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// Where the time of a run comes from.
enum class CostSource {
  measured,  ///< epochs of the run itself, or of one that differs in nothing but the seed
  similar,   ///< epochs of a run with the same net, images, batch and precision
  modelled,  ///< its arithmetic divided by a rate that the user gave
  unknown,   ///< no such run and no rate
};
[[nodiscard]] std::string_view name(CostSource source);

/// What a run costs from its first epoch to its last.
struct RunCost {
  CostSource source = CostSource::unknown;
  double seconds = 0.0;        ///< on `ranks` ranks; 0 when unknown
  std::int64_t ranks = 1;      ///< as measured, or as the sweep says
  std::optional<double> flop;  ///< absent when the images' number and size are not known
  std::string from;            ///< id of the run that was measured

  [[nodiscard]] double rank_hours() const { return seconds * static_cast<double>(ranks) / 3600.0; }
};

/// Knows what runs of a results folder took, and models the others.
class CostModel {
 public:
  /// Reads every run below `results`. \param flops_per_rank  sustained rate of one rank, FLOP/s; 0: none known
  CostModel(const std::filesystem::path& results, double flops_per_rank);

  [[nodiscard]] RunCost cost_of(const Sweep& sweep, const PlannedRun& run) const;

 private:
  struct Measured {
    std::string id, exact_key, similar_key;
    std::string pack, pack_digest, weights, weights_digest;  ///< paths and digests; empty: not known
    double seconds_per_epoch;
    std::int64_t num_epochs;
    std::int64_t ranks;
  };
  /// \param how  measured, or similar
  [[nodiscard]] const Measured* best(CostSource how, const PlannedRun& run) const;
  [[nodiscard]] std::optional<DataShape> shape_of(const Sweep& sweep, const config::RunConfig& config) const;

  double flops_per_rank_;
  std::vector<Measured> measured_;
  mutable std::map<std::string, std::optional<DataShape>> packs_;
};

}  // namespace xtasc::sweep
