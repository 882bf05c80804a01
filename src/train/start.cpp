#include "train/start.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <system_error>

#include "core/error.hpp"
#include "core/log.hpp"
#include "run/provenance.hpp"
#include "run/run_id.hpp"
#include "run/weights_digest.hpp"

namespace xtasc::train {

namespace fs = std::filesystem;

namespace {

/// Names the folder that versions gave this run which knew its files by their paths.
void tell_of_first_ids(const config::RunConfig& config, const run::RunFolder& folder) {
  config::RunConfig then = config;
  then.data.pack_digest.clear();
  then.model.encoder_weights_digest.clear();
  const run::RunFolder before{fs::path(config.run.output) / run::first_run_id(then)};
  if (!fs::exists(folder.config()) && fs::exists(before.root)) {
    log_warning(
        "{} is this run as an earlier version knew it, by the path of its pack: it is not resumed (tables still read "
        "it); training anew in {}",
        before.root.string(), folder.root.string());
  }
}

/// \throws Error unless the folder's config.toml is of this run
void check_config(const run::RunFolder& folder, const config::RunConfig& config) {
  check(config::identity_text(run::read_config_of(folder)) == config::identity_text(config),
        "{} is not the config of this run: somebody changed it", folder.config().string());
}

/// \throws Error unless the folder's provenance.json can be read, and is of this run's pack
void check_provenance(const run::RunFolder& folder, const config::RunConfig& config) {
  const std::string digest = run::read_provenance(folder.provenance()).pack_digest;
  check(digest == config.data.pack_digest, "{} names a pack of digest {}, this run's is {}",
        folder.provenance().string(), digest, config.data.pack_digest);
}

/// \throws Error unless a DONE folder is this run's
void check_done(const run::RunFolder& folder, const config::RunConfig& config) {
  try {
    check_config(folder, config);
    check_provenance(folder, config);
  } catch (const Error& error) {
    fail("{} is DONE, but is not as this run left it: {}; move it away, or train the run anew with --restart",
         folder.root.string(), error.what());
  }
}

/// \throws Error naming the key that the path stands in
std::string digest_of(const std::string& key, const std::string& path) {
  try {
    return run::digest_of_weights(path);
  } catch (const Error& error) {
    const bool is_teacher = key.starts_with("distillation.");
    throw Error(fmt::format("{} = \"{}\": {}", key, path, error.what()), is_teacher ? ExitCode::usage : error.code());
  }
}

/// Sets a file aside that fails its check; one that is missing is none.
void set_aside_if_wrong(const fs::path& path, const std::function<void()>& check_it) {
  if (!fs::exists(path)) {
    return;
  }
  try {
    check_it();
  } catch (const Error& error) {
    log_warning("{} (it is {} now, and written anew)", error.what(), run::set_aside(path).filename().string());
  }
}

}  // namespace

config::RunConfig with_digests(const dist::MpiSession& session, config::RunConfig config, const pack::Reader& pack) {
  config::pin_digest(config.data.pack_digest, pack.schema().content_digest, "data.pack_digest", config.data.pack);
  for (const auto& [key, path, digest] : config::weights_keys(config)) {
    // A run that is resumed needs the encoder's file no more: with the digest in its config it may be gone.
    const bool is_read = session.rank() == 0 && !path.empty() && (digest.empty() || fs::exists(path));
    const std::string found = session.broadcast(is_read ? digest_of(key, path) : digest);  // by all ranks
    if (!path.empty()) {
      config::pin_digest(digest, found, key + "_digest", path);
    }
  }
  return config;
}

bool prepare_folder(const dist::MpiSession& session, const config::RunConfig& config, const run::RunFolder& folder,
                    const RunOptions& options, std::optional<run::RunClaim>& claim) {
  std::string state = "open";
  if (session.rank() == 0) {
    tell_of_first_ids(config, folder);
    run::prepare_run_folder(folder);
    if (options.restart || !folder.is_done()) {
      claim.emplace(folder, options.take_over);
      fs::remove(folder.stop_request());  // it was for an earlier start
      run::finish_restart(folder);
    }
    if (options.restart) {
      run::restart(folder);
    }
    state = folder.is_done() ? "done" : "open";
    if (state == "done") {
      check_done(folder, config);
    }
  }
  return session.broadcast(state) == "done";
}

bool has_epochs(const fs::path& metrics) {
  std::error_code ignored;
  return fs::exists(metrics, ignored) && fs::file_size(metrics, ignored) > 0;
}

void look_after_records(const run::RunFolder& folder, const config::RunConfig& config) {
  set_aside_if_wrong(folder.config(), [&] { check_config(folder, config); });
  set_aside_if_wrong(folder.provenance(), [&] { check_provenance(folder, config); });
}

void choose_samples(const config::RunConfig& config, data::Splits& splits) {
  const auto seed = static_cast<std::uint64_t>(config.run.seed);
  const std::int64_t all = splits.train.size();
  if (config.data.holdout > 0.0) {
    const std::int64_t count = config.data.num_held_out(all);
    if (count == 0 || count == all) {
      fail_usage(
          "data.holdout = {} of {} training images is {}: one at least must choose the best epoch, and one train",
          config.data.holdout, all, count);
    }
    splits.held_out = splits.train.take_out(data::held_out(all, count, seed));
  }
  const data::KeptLabels kept = {.share = config.data.label_share, .one_task = config.data.one_label, .seed = seed};
  if (splits.held_out) {
    splits.held_out->keep_labels(kept);
  }
  data::Dataset& train = splits.train;
  train.keep_labels(kept);
  std::string counts;
  for (const std::string& key : train.label_keys()) {
    const std::int64_t count = train.num_with_labels(key);
    counts += count == train.size() ? "" : fmt::format("{}{} of {}", counts.empty() ? "" : ", ", count, key);
  }
  if (!counts.empty()) {
    log_info("of {} training images have labels: {}", train.size(), counts);
  }
}

void check_teachers_of(const run::RunFolder& folder, const TeacherWeights& teachers) {
  std::error_code ignored;
  if (teachers.digests.empty() || !fs::exists(folder.provenance(), ignored)) {
    return;
  }
  for (const auto& [task, digest] : run::read_provenance(folder.provenance()).teacher_weights) {
    const auto found = teachers.digests.find(task);
    check(found != teachers.digests.end() && found->second == digest,
          "distillation.teacher_{} has other weights than when this run began (trained anew?): {} instead of {}; put "
          "those back, or begin anew with --restart",
          task, found == teachers.digests.end() ? "none" : found->second, digest);
  }
}

}  // namespace xtasc::train
