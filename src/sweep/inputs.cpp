#include "sweep/inputs.hpp"

#include <set>
#include <system_error>
#include <utility>

#include "core/error.hpp"
#include "pack/reader.hpp"

namespace fs = std::filesystem;

namespace xtasc::sweep {

namespace {

bool is_absent(const std::string& path) {
  std::error_code ignored;
  return !fs::exists(path, ignored);
}

/// \throws Error saying why no run can train on it
void check_pack(const std::string& path, const std::string& label_set) {
  const pack::Reader pack(path);
  static_cast<void>(pack::find_label_set(pack.schema(), label_set));
  for (const pack::Split split : {pack::Split::train, pack::Split::val}) {
    check(pack.size(split) > 0, "{}: /{} is absent or empty; a run needs samples to train on and to validate with",
          path, pack::split_name(split));
  }
}

}  // namespace

InputFaults check_inputs(const std::vector<const PlannedRun*>& runs) {
  InputFaults faults;
  std::set<std::pair<std::string, std::string>> packs;
  std::set<std::string> weights;
  for (const PlannedRun* run : runs) {
    const config::RunConfig& config = run->config;
    if (packs.emplace(config.data.pack, config.data.label_set).second) {
      if (config.data.pack.empty()) {
        faults.wrong.push_back(
            fmt::format("{}: data.pack is not set: name a pack that xtasc-preprocess made", run->id));
      } else if (is_absent(config.data.pack)) {
        faults.absent.push_back(
            fmt::format("data.pack: there is no file {}; xtasc-preprocess makes packs", config.data.pack));
      } else {
        try {
          check_pack(config.data.pack, config.data.label_set);
        } catch (const Error& error) {
          faults.wrong.push_back(fmt::format("data.pack: {}", error.what()));
        }
      }
    }
    const std::string& file = config.model.encoder_weights;
    if (!file.empty() && weights.insert(file).second && is_absent(file)) {
      faults.absent.push_back(fmt::format("model.encoder_weights: there is no file {}", file));
    }
  }
  return faults;
}

void refuse(const Sweep& sweep, const std::vector<std::string>& faults) {
  if (faults.size() == 1) {
    fail("{}: {}; nothing was run", sweep.file.string(), faults.front());
  }
  if (!faults.empty()) {
    throw Error(fmt::format("{}: {} faults, nothing was run", sweep.file.string(), faults.size()), ExitCode::failure,
                faults);
  }
}

}  // namespace xtasc::sweep
