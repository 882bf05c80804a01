#include "sweep/inputs.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "net/kd4mtl.hpp"
#include "pack/reader.hpp"
#include "run/has_tasks.hpp"
#include "run/pack_now.hpp"
#include "run/teacher.hpp"
#include "run/weights_digest.hpp"
#include "sweep/folder.hpp"
#include "sweep/halving/rungs.hpp"
#include "sweep/needs.hpp"
#include "sweep/other_runs.hpp"
#include "sweep/select.hpp"
#include "sweep/waiting.hpp"

namespace fs = std::filesystem;

namespace xtasc::sweep {

namespace {

/// What the pack says, where it is here.
run::StudentData student_data(const config::DataSection& data) {
  try {
    const pack::Reader pack(data.pack);
    const pack::Schema& schema = pack.schema();
    const auto& labels = schema.label_sets[pack::find_label_set(schema, data.label_set)];
    return {static_cast<std::int64_t>(labels.class_names.size()), schema.height, schema.width};
  } catch (const Error&) {
    return {};  // who needs it says what is wrong with it
  }
}

bool is_absent(const std::string& path) {
  std::error_code ignored;
  return !fs::exists(path, ignored);
}

/// \throws Error saying why no run can train on it
void check_pack(const PlannedRun& run) {
  const std::string& path = run.config.data.pack;
  const pack::Reader pack(path);
  static_cast<void>(pack::find_label_set(pack.schema(), run.config.data.label_set));
  run::check_has_tasks(pack::label_keys(pack.schema()), run.config.model, path);
  std::string digest = run.config.data.pack_digest;
  config::pin_digest(digest, pack.schema().content_digest, "data.pack_digest", path);
  for (const pack::Split split : {pack::Split::train, pack::Split::val}) {
    check(pack.size(split) > 0, "{}: /{} is absent or empty; a run needs samples to train on and to validate with",
          path, pack::split_name(split));
  }
}

/// \throws Error saying why a run that is to teach a task of this one cannot
void check_as_teacher(const PlannedRun& run, const std::string& key, const std::string& path) {
  for (const config::ModelSection& teacher : net::teachers_of(run.config.model)) {
    const std::string_view task = config::system_of(teacher).tasks.front();
    if (key == fmt::format("distillation.teacher_{}", task)) {
      try {
        run::check_teacher(path, teacher, student_data(run.config.data), run.config);
      } catch (const Error& error) {
        fail_usage("{}: {}", path, error.what());
      }
    }
  }
}

}  // namespace

InputFaults check_inputs(const std::vector<const PlannedRun*>& runs) {
  InputFaults faults;
  std::set<std::tuple<std::string, std::string, std::string, std::vector<std::string_view>>> packs;
  std::set<std::pair<std::string, std::string>> weights;
  const auto add_wrong = [&faults](const std::string& key, const Error& error) {
    std::string line = fmt::format("{}: {}", key, error.what());
    if (std::ranges::find(faults.wrong, line) == faults.wrong.end()) {
      faults.wrong.push_back(std::move(line));
    }
    faults.is_config_wrong |= error.code() == ExitCode::usage;
  };
  for (const PlannedRun* run : runs) {
    const config::RunConfig& config = run->config;
    const config::System& system = config::system_of(config.model);
    if (packs.emplace(config.data.pack, config.data.label_set, config.data.pack_digest, system.tasks).second) {
      if (config.data.pack.empty()) {
        faults.wrong.push_back(
            fmt::format("{}: data.pack is not set: name a pack that xtasc-preprocess made", run->id));
      } else if (is_absent(config.data.pack)) {
        const std::string& digest = config.data.pack_digest;
        std::string line = fmt::format("data.pack: there is no file {}{}; xtasc-preprocess makes packs",
                                       config.data.pack, digest.empty() ? "" : fmt::format(", digest {}", digest));
        if (std::ranges::find(faults.absent, line) == faults.absent.end()) {
          faults.absent.push_back(std::move(line));
        }
      } else {
        try {
          check_pack(*run);
        } catch (const Error& error) {
          add_wrong("data.pack", error);
        }
      }
    }
    config::RunConfig copy = config;
    for (const auto& [key, path, digest] : config::weights_keys(copy)) {
      if (path.empty() || come_from_needs(*run, path) || !weights.emplace(path, digest).second) {
        continue;
      }
      if (is_absent(path)) {
        faults.absent.push_back(fmt::format("{}: there is no file {}", key, path));
        faults.is_config_wrong |= key.starts_with("distillation.");  // as a run says of its teachers
        continue;
      }
      try {
        check_as_teacher(*run, key, path);
        if (!run->were_read.contains(key)) {
          config::pin_digest(digest, run::digest_of_weights(path), key + "_digest", path);
        }
      } catch (const Error& error) {
        add_wrong(key, error);
      }
    }
  }
  return faults;
}

std::map<std::string, std::string> edited_packs(const Sweep& sweep) {
  const SweepFolder folder{sweep.folder};
  std::map<std::string, std::vector<run::Provenance>> trained;
  std::error_code ignored;
  for (const PlannedRun& run : sweep.runs) {
    const fs::path own = folder.run(run.id).root;
    const run::RunFolder files{run.done_before.empty() || fs::exists(own, ignored) ? own : run.done_before};
    if (!fs::exists(files.provenance(), ignored)) {
      continue;
    }
    try {
      run::Provenance recorded = run::read_provenance(files.provenance());
      if (run::is_same_place(run::last_pack_path(recorded), run.config.data.pack)) {
        trained[run.config.data.pack].push_back(std::move(recorded));
      }
    } catch (const Error&) {
      continue;  // whoever needs it says what is wrong with it
    }
  }
  std::map<std::string, std::string> edited;
  for (const auto& [path, recorded] : trained) {
    std::vector<const run::Provenance*> pointers;
    std::ranges::transform(recorded, std::back_inserter(pointers), [](const auto& one) { return &one; });
    const run::PackNow now = run::pack_now(path, pointers);
    if (now.is_edited()) {
      const auto count = std::ranges::count(recorded, now.digest, &run::Provenance::pack_digest);
      edited[path] = fmt::format("{}; {} run{} trained on {}", run::edited_text(path, now), count,
                                 count == 1 ? " was" : "s were", now.digest);
    }
  }
  return edited;
}

std::vector<std::string> reasons_without_id(const std::vector<const PlannedRun*>& runs) {
  std::vector<std::string> reasons;
  for (const PlannedRun* run : runs) {
    if (run->has_id()) {
      continue;
    }
    const bool is_pack = run->lacks == "data.pack";
    config::RunConfig config = run->config;
    std::string path = config.data.pack;
    for (const config::WeightsKey& weights : config::weights_keys(config)) {
      path = weights.key == run->lacks ? weights.path : path;
    }
    std::string reason;
    if (path.empty()) {
      reason = fmt::format("{} is not set, and a run's folder is named by what it holds", run->lacks);
    } else {
      reason = fmt::format(
          "{} {} {}, and a run's folder is named by what it holds: make it reachable here, or set {}_digest, which "
          "`{} {}` prints where it is, in [set] or by --set{}",
          run->lacks, path, is_absent(path) ? "is not on this machine" : "cannot be read", run->lacks,
          is_pack ? "xtasc-preprocess info" : "xxhsum -H2", path,
          run->recorded.empty() ? "" : fmt::format(" (runs here had {})", fmt::join(run->recorded, " and ")));
    }
    if (std::ranges::find(reasons, reason) == reasons.end()) {
      reasons.push_back(std::move(reason));
    }
  }
  return reasons;
}

void require_ids(const Sweep& sweep, const std::vector<const PlannedRun*>& runs, std::string_view what_was_not) {
  const std::vector<std::string> reasons = reasons_without_id(runs);
  if (reasons.size() == 1) {
    fail("{}: {}; {}", sweep.file.string(), reasons.front(), what_was_not);
  }
  if (!reasons.empty()) {
    throw Error(fmt::format("{}: {} files are not known here, {}", sweep.file.string(), reasons.size(), what_was_not),
                ExitCode::failure, reasons);
  }
}

InputFaults faults_of_starting(const Sweep& sweep, const std::vector<const PlannedRun*>& starting) {
  InputFaults faults = check_inputs(starting);
  for (const auto& [path, text] : edited_packs(sweep)) {
    const bool is_needed =
        std::ranges::any_of(starting, [&path = path](const PlannedRun* run) { return run->config.data.pack == path; });
    if (is_needed) {
      faults.wrong.push_back(text);
    } else {
      log_warning("{}", text);
    }
  }
  return faults;
}

void refuse_what_cannot_start(const Sweep& sweep, const std::vector<const PlannedRun*>& selected, const Queue& queue) {
  std::vector<const PlannedRun*> starting;
  const Rungs rungs(sweep, queue);
  std::ranges::copy_if(selected, std::back_inserter(starting), [&](const PlannedRun* run) {
    return verdict_on(status_in(sweep, *run, queue, rungs).state) == Verdict::start;
  });
  InputFaults faults = faults_of_starting(sweep, starting);
  std::ranges::move(faults.wrong, std::back_inserter(faults.absent));
  refuse(sweep, faults.absent, faults.code());
  require_ids(sweep, starting, "nothing was run");
  if (const std::string text = other_packs_text(sweep); !text.empty()) {
    log_warning("{}", text);
  }
}

void refuse(const Sweep& sweep, const std::vector<std::string>& faults, ExitCode code) {
  if (faults.size() == 1) {
    throw Error(fmt::format("{}: {}; nothing was run", sweep.file.string(), faults.front()), code);
  }
  if (!faults.empty()) {
    throw Error(fmt::format("{}: {} faults, nothing was run", sweep.file.string(), faults.size()), code, faults);
  }
}

}  // namespace xtasc::sweep
