#include "sweep/other_runs.hpp"

#include <algorithm>
#include <set>
#include <system_error>

#include "core/error.hpp"
#include "run/config_values.hpp"
#include "run/provenance.hpp"
#include "run/run_id.hpp"

namespace fs = std::filesystem;

namespace xtasc::sweep {

namespace {

/// What decides a run's numbers, but for the content of its files.
run::ConfigValues choices_of(const config::RunConfig& config) {
  run::ConfigValues values = run::identity_values(config);
  std::erase_if(values, [](const auto& entry) { return run::is_digest_key(entry.first); });
  return values;
}

bool have_same_weights(const config::ModelSection& a, const config::ModelSection& b) {
  const bool both_known = !a.encoder_weights_digest.empty() && !b.encoder_weights_digest.empty();
  return both_known ? a.encoder_weights_digest == b.encoder_weights_digest : a.encoder_weights == b.encoder_weights;
}

/// The folders of runs in the sweep's folder that no run of the sweep is called like.
std::vector<run::RunFolder> folders_of_others(const Sweep& sweep) {
  std::set<std::string> own;
  std::ranges::transform(sweep.runs, std::inserter(own, own.end()), &PlannedRun::id);
  std::vector<run::RunFolder> others;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(sweep.folder, error)) {
    const run::RunFolder run{entry.path()};
    std::error_code ignored;
    if (!own.contains(entry.path().filename().string()) && fs::is_regular_file(run.config(), ignored)) {
      others.push_back(run);
    }
  }
  std::ranges::sort(others, {}, &run::RunFolder::root);
  return others;
}

}  // namespace

void find_other_runs(Sweep& sweep) {
  const std::vector<run::RunFolder> others = folders_of_others(sweep);
  if (others.empty()) {
    return;
  }
  std::map<run::ConfigValues, std::vector<PlannedRun*>> planned;
  for (PlannedRun& run : sweep.runs) {
    if (run.has_id()) {
      planned[choices_of(run.config)].push_back(&run);
    }
  }
  for (const run::RunFolder& other : others) {
    try {
      const config::RunConfig config = run::read_config_of(other);
      const auto found = planned.find(choices_of(config));
      if (found == planned.end()) {
        continue;
      }
      const std::string digest = config::is_of_first_ids(config) ? run::read_provenance(other.provenance()).pack_digest
                                                                 : config.data.pack_digest;
      PlannedRun* same = nullptr;
      const PlannedRun* like = nullptr;
      for (PlannedRun* run : found->second) {
        if (have_same_weights(config.model, run->config.model)) {
          like = run;
          same = run->config.data.pack_digest == digest ? run : same;
        }
      }
      if (same != nullptr && config::is_of_first_ids(config) && other.is_done() && same->done_before.empty()) {
        same->done_before = other.root;
      } else if (same != nullptr && config::is_of_first_ids(config) && !other.is_done()) {
        sweep.begun_before.push_back(other.root);
      } else if (same == nullptr && like != nullptr && !digest.empty()) {
        sweep.on_other_packs.push_back({other.root, digest});
      }
    } catch (const Error&) {
      continue;  // not started, or broken: none of this sweep's runs by name, so nothing depends on it
    }
  }
}

std::string other_packs_text(const Sweep& sweep) {
  const std::size_t num_begun = sweep.begun_before.size();
  const std::string begun =
      num_begun == 0
          ? ""
          : fmt::format(
                "{} here {} begun by an earlier version, which knew runs by the paths of their packs: not "
                "resumed, trained anew ({}{})",
                num_begun == 1 ? "1 run" : fmt::format("{} runs", num_begun), num_begun == 1 ? "was" : "were",
                sweep.begun_before.front().filename().string(), num_begun == 1 ? "" : ", ...");
  if (sweep.on_other_packs.empty()) {
    return begun;
  }
  std::set<std::string> theirs, planned;
  for (const RunOnOtherPack& run : sweep.on_other_packs) {
    theirs.insert(run.pack_digest);
  }
  for (const PlannedRun& run : sweep.runs) {
    planned.insert(run.config.data.pack_digest);
  }
  planned.erase("");
  const std::size_t count = sweep.on_other_packs.size();
  return fmt::format(
      "{}{}{} here {} trained on another pack, of digest {}; this sweep is of {}: other runs, left as they are", begun,
      begun.empty() ? "" : "; ", count == 1 ? "1 run" : fmt::format("{} runs", count), count == 1 ? "was" : "were",
      fmt::join(theirs, ", "), fmt::join(planned, ", "));
}

}  // namespace xtasc::sweep
