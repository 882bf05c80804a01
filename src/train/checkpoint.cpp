#include "train/checkpoint.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fcntl.h>
#include <stdio.h>  // NOLINT: renameat2
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

#include "core/error.hpp"
#include "core/log.hpp"
#include "io/atomic_file.hpp"
#include "io/checksum.hpp"
#include "train/checkpoint_folder.hpp"
#include "train/weights.hpp"

namespace xtasc::train {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

void move_folder(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  check(!error, "cannot rename {} to {}: {}", from.string(), to.string(), error.message());
}

void remove_folder(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  check(!error, "cannot remove {}: {}", folder.string(), error.message());
}

/// Makes an empty folder and fills it; nothing is left of it where that fails: half a checkpoint would keep a full disk
/// full.
template <typename Fill>
void fill_folder(const fs::path& folder, const Fill& fill) {
  remove_folder(folder);
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, "cannot create {}: {}", folder.string(), error.message());
  try {
    fill();
  } catch (...) {
    fs::remove_all(folder, error);
    throw;
  }
}

/// What is left over of an older checkpoint takes space and does no harm: the next save tries again.
void remove_if_possible(const fs::path& folder) {
  try {
    remove_folder(folder);
  } catch (const Error& error) {
    log_warning("{}; it is tried again after the next checkpoint", error.what());
  }
}

/// Where the folder that gives way goes: .NAME.old, or another name where what lies there cannot be removed (a reader
/// on NFS holds its files).
fs::path place_for_old(const fs::path& folder) {
  fs::path place = old_folder(folder);
  for (int i = 2; i < 10; ++i) {
    std::error_code error;
    fs::remove_all(place, error);
    if (!error) {
      return place;
    }
    place = beside(folder, fmt::format(".old{}", i).c_str());
  }
  fail("cannot remove {}: it and others like it are in the way of a new checkpoint", old_folder(folder).string());
}

/// Swaps two folders with one system call, so that nobody finds neither. \returns false where the file system cannot
bool exchange(const fs::path& a, const fs::path& b) {
  return ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0;
}

/// Writes, reads back and returns the index entry of one file.
json write_checked(const fs::path& path, std::string_view bytes) {
  const std::string digest = io::digest_hex(bytes);
  io::write_file_atomically(path, bytes);
  check(io::file_digest(path) == digest, "{}: what was written reads back differently: check the disk", path.string());
  return {{"bytes", bytes.size()}, {kDigest, digest}};
}

json write_checked(const fs::path& path, const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  return write_checked(path, tensorfile::tensor_dict_bytes({tensors.begin(), tensors.end()}));
}

tensorfile::TensorDict tensors_of(const std::string& bytes, const fs::path& path) {
  try {
    return tensorfile::tensor_file_of(bytes).tensors;
  } catch (const Error& error) {
    fail_damaged("{}: {}", path.string(), error.what());
  }
}

json to_json(const Progress& p) {
  json progress = {{"epoch", p.epoch},
                   {"step_in_epoch", p.step_in_epoch},
                   {"step", p.step},
                   {"epoch_loss_sums", p.epoch_loss_sums},
                   {"epoch_weight_sums", p.epoch_weight_sums},
                   {"epoch_images", p.epoch_images},
                   {"epoch_seconds", p.epoch_seconds}};
  for (const auto& [key, values] : {std::pair{"epoch_term_images", &p.epoch_term_images},
                                    {"epoch_conflict_sums", &p.epoch_conflict_sums},
                                    {"epoch_phase_seconds", &p.epoch_phase_seconds}}) {
    if (!values->empty()) {
      progress[key] = *values;
    }
  }
  if (std::isfinite(p.best_val_loss)) {
    progress["best_val_loss"] = p.best_val_loss;
    progress["best_epoch"] = p.best_epoch;
  }
  return progress;
}

Progress from_json(const json& j) {
  Progress p;
  j.at("epoch").get_to(p.epoch);
  j.at("step_in_epoch").get_to(p.step_in_epoch);
  j.at("step").get_to(p.step);
  j.at("epoch_loss_sums").get_to(p.epoch_loss_sums);
  j.at("epoch_weight_sums").get_to(p.epoch_weight_sums);
  p.epoch_term_images = j.value("epoch_term_images", p.epoch_term_images);
  p.epoch_conflict_sums = j.value("epoch_conflict_sums", p.epoch_conflict_sums);
  p.epoch_phase_seconds = j.value("epoch_phase_seconds", p.epoch_phase_seconds);
  j.at("epoch_images").get_to(p.epoch_images);
  j.at("epoch_seconds").get_to(p.epoch_seconds);
  p.best_val_loss = j.value("best_val_loss", std::numeric_limits<double>::infinity());
  p.best_epoch = j.value("best_epoch", p.best_epoch);
  return p;
}

/// Sums of before there was one list of terms: always of these five losses, and of two tasks.
void fit_first_sums(Progress& progress, const loss::Objective& objective) {
  static const std::vector<std::string> losses = {"seg", "depth", "seg_to_depth", "depth_to_seg", "total"};
  static const std::vector<std::string> tasks = {"seg", "depth"};
  const auto fit = [](std::vector<double>& sums, const std::vector<std::string>& given,
                      const std::vector<std::string>& wanted) {
    if (sums.size() != given.size() || sums.size() == wanted.size()) {
      return;
    }
    std::vector<double> fitted;
    for (const std::string& name : wanted) {
      const auto found = std::ranges::find(given, name);
      fitted.push_back(found == given.end() ? 0.0 : sums[static_cast<std::size_t>(found - given.begin())]);
    }
    sums = std::move(fitted);
  };
  std::vector<std::string> keys;
  for (const task::Task& task : objective.tasks()) {
    keys.emplace_back(task.key);
  }
  fit(progress.epoch_loss_sums, losses, loss_names(objective));
  fit(progress.epoch_weight_sums, tasks, keys);
}

/// "section.key" -> value of an identity text.
std::map<std::string, std::string> values_of(const std::string& identity) {
  std::map<std::string, std::string> values;
  std::istringstream lines(identity);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find(" = ");
    values[line.substr(0, equals)] = equals == std::string::npos ? "" : line.substr(equals + 3);
  }
  return values;
}

/// Names the first key in which two configs differ.
void check_identity(const fs::path& folder, const json& index, const RunIdentity& identity) {
  const auto saved = values_of(index.at("config").get<std::string>());
  const auto wanted = values_of(identity.config);
  const auto text = [](const auto& values, const std::string& key) {
    const auto found = values.find(key);
    return found == values.end() ? fmt::format("{} at its default", key) : fmt::format("{} = {}", key, found->second);
  };
  auto all = saved;
  all.insert(wanted.begin(), wanted.end());
  for (const auto& [key, value] : all) {
    if (text(saved, key) != text(wanted, key)) {
      throw ForeignCheckpoint(fmt::format("{} belongs to another config: it has {}, this run has {}", folder.string(),
                                          text(saved, key), text(wanted, key)));
    }
  }
  const auto digest = index.at("pack_digest").get<std::string>();
  if (digest != identity.pack_digest) {
    throw ForeignCheckpoint(fmt::format(
        "{} was trained on a pack with digest {}, data.pack now has {}: restore the pack, or start again with "
        "--restart",
        folder.string(), digest, identity.pack_digest));
  }
}

/// The same file under another name; a copy where the file system has no links.
void link_file(const fs::path& from, const fs::path& to) {
  if (::link(from.c_str(), to.c_str()) != 0) {
    io::write_file_atomically(to, io::read_file(from));
  }
}

}  // namespace

Progress no_progress(const loss::Objective& objective) {
  Progress progress;
  progress.epoch_loss_sums.resize(objective.terms().size() + 1);
  progress.epoch_weight_sums.resize(objective.tasks().size());
  return progress;
}

std::string to_text(const Progress& progress) {
  return to_json(progress).dump();
}

Progress progress_of(const std::string& text) {
  return from_json(json::parse(text));
}

void Checkpoint::prepare(const LearnerTensors& tensors, const Progress& progress, const RunIdentity& identity,
                         const std::string& metrics, const BeforeWrite& before_write) const {
  const fs::path fresh = new_folder(folder_);
  before_write();
  fill_folder(fresh, [&] {
    json files;
    files[kWeights] = write_checked(fresh / kWeights, tensors.weights);
    before_write();
    files[kState] = write_checked(fresh / kState, tensors.state);
    files[kMetrics] = write_checked(fresh / kMetrics, std::string_view(metrics));
    json index = {{"format", "xtasc-checkpoint"},  {"version", kVersion},       {"files", files},
                  {"progress", to_json(progress)}, {"config", identity.config}, {"pack_digest", identity.pack_digest}};
    index[kDigest] = digest_of(index);
    before_write();
    io::write_file_atomically(fresh / kStep, fmt::format("{}\n", progress.step));
    io::write_file_atomically(fresh / kIndex, index.dump(2) + "\n");
  });
}

void Checkpoint::commit(const fs::path& older, const BeforeWrite& before_write) const {
  const fs::path fresh = new_folder(folder_);
  before_write();
  fs::path attic;  // takes the generation that goes
  if (!fs::exists(folder_)) {
    move_folder(fresh, folder_);
  } else if (older.empty()) {
    attic = place_for_old(folder_);
    if (exchange(fresh, folder_)) {
      move_folder(fresh, attic);
    } else {
      move_folder(folder_, attic);
      move_folder(fresh, folder_);
    }
  } else {
    attic = place_for_old(older);
    if (fs::exists(older)) {
      move_folder(older, attic);
    }
    if (exchange(fresh, folder_)) {
      move_folder(fresh, older);
    } else {
      const fs::path between = place_for_old(folder_);
      move_folder(folder_, between);
      move_folder(fresh, folder_);
      move_folder(between, older);
    }
  }
  io::sync_folder(folder_.parent_path());
  if (!attic.empty()) {
    remove_if_possible(attic);
  }
}

void Checkpoint::save(const LearnerTensors& tensors, const Progress& progress, const RunIdentity& identity,
                      const std::string& metrics, const BeforeWrite& before_write) const {
  prepare(tensors, progress, identity, metrics, before_write);
  commit({}, before_write);
}

void Checkpoint::save_as(const Checkpoint& other, const BeforeWrite& before_write) const {
  const fs::path prepared = new_folder(other.folder_);
  const fs::path from = is_complete(prepared) ? prepared : other.folder_;
  const fs::path fresh = new_folder(folder_);
  before_write();
  fill_folder(fresh, [&] {
    for (const std::string_view name : {kWeights, kState, kMetrics, kStep, kIndex}) {  // the index last, as ever
      if (name != kStep || fs::exists(from / kStep)) {                                 // earlier versions wrote none
        link_file(from / name, fresh / name);
      }
    }
    io::sync_folder(fresh);
  });
  commit({}, before_write);
}

void Checkpoint::finish_interrupted_save() const {
  const fs::path fresh = new_folder(folder_);
  const fs::path old = old_folder(folder_);
  if (!fs::exists(folder_)) {
    // Killed between two renames. The new one is whole then, since it is renamed only after its index was written.
    if (fs::exists(old)) {
      move_folder(is_complete(fresh) ? fresh : old, folder_);
    }
  }
  remove_if_possible(fresh);
  remove_if_possible(old);
}

bool Checkpoint::exists() const {
  return fs::exists(folder_);
}

bool Checkpoint::is_of_best_epoch() const {
  try {
    const Progress progress = from_json(OpenFolder(folder_).index().at("progress"));
    return verify() == progress.best_epoch && progress.step_in_epoch == 0;
  } catch (const std::exception&) {  // damaged, or of another version
    return false;
  }
}

std::optional<Resumed> Checkpoint::load(const Learner& learner, const RunIdentity& identity) const {
  finish_interrupted_save();
  if (!exists()) {
    return std::nullopt;
  }
  const OpenFolder folder(folder_);
  const json index = folder.index();
  try {
    if (index.at("version") != kVersion) {
      throw ForeignCheckpoint(
          fmt::format("{} was written by an earlier version, which knew a run by other means: --restart trains it anew",
                      folder_.string()));
    }
    check_identity(folder_, index, identity);
    Resumed resumed = {from_json(index.at("progress")), folder.file(index, kMetrics)};
    fit_first_sums(resumed.progress, *learner.objective);
    const Progress none = no_progress(*learner.objective);
    for (const auto sums : {&Progress::epoch_loss_sums, &Progress::epoch_weight_sums}) {
      if ((resumed.progress.*sums).empty()) {  // no step yet
        resumed.progress.*sums = none.*sums;
      }
    }
    if (resumed.progress.epoch_loss_sums.size() != none.epoch_loss_sums.size() ||
        resumed.progress.epoch_weight_sums.size() != none.epoch_weight_sums.size()) {
      fail_damaged("{} is damaged: sums of {} losses and {} tasks, {} and {} are expected", (folder_ / kIndex).string(),
                   resumed.progress.epoch_loss_sums.size(), resumed.progress.epoch_weight_sums.size(),
                   none.epoch_loss_sums.size(), none.epoch_weight_sums.size());
    }
    const auto weights = tensors_of(folder.file(index, kWeights), weights_path());
    const auto state = tensors_of(folder.file(index, kState), folder_ / kState);
    for (const auto& [name, tensor] : learner.state()) {
      const auto found = state.find(name);
      check(found != state.end() && found->second.sizes() == tensor.sizes(), "{}: {} is missing or of another shape",
            (folder_ / kState).string(), name);
    }
    load_weights(learner, weights_path().string(), weights);
    const c10::NoGradGuard no_grad;
    for (const auto& [name, tensor] : learner.state()) {
      tensor.copy_(state.at(name));
    }
    return resumed;
  } catch (const json::exception&) {
    fail_damaged("{} is damaged: a field is missing or of another type", (folder_ / kIndex).string());
  }
}

tensorfile::TensorDict Checkpoint::weights() const {
  return read_one_generation(folder_, [&](const OpenFolder& folder) {
    return tensors_of(folder.file(folder.index(), kWeights), weights_path());
  });
}

std::int64_t Checkpoint::verify() const {
  return read_one_generation(folder_, [&](const OpenFolder& folder) {
    const json index = folder.index();
    static_cast<void>(folder.file(index, kWeights));
    for (const char* name : {kState, kMetrics}) {  // a best checkpoint of version 1 has weights alone
      if (index.at("files").contains(name)) {
        static_cast<void>(folder.file(index, name));
      }
    }
    return index.value("progress", json::object()).value("epoch", std::int64_t{0});
  });
}

std::string Checkpoint::description() const {
  return read_one_generation(folder_, [](const OpenFolder& folder) { return folder.index().dump(2); });
}

}  // namespace xtasc::train
