#include "train/checkpoint.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.hpp"
#include "core/log.hpp"
#include "io/atomic_file.hpp"
#include "io/checksum.hpp"
#include "tensorfile/tensor_file.hpp"
#include "train/weights.hpp"

namespace xtasc::train {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr int kVersion = 1;
constexpr const char* kIndex = "checkpoint.json";

fs::path beside(const fs::path& folder, const char* suffix) {
  return folder.parent_path() / fmt::format(".{}{}", folder.filename().string(), suffix);
}
fs::path new_folder(const fs::path& folder) {
  return beside(folder, ".new");
}
fs::path old_folder(const fs::path& folder) {
  return beside(folder, ".old");
}

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

/// Writes, reads back and returns the index entry of one file.
json write_checked(const fs::path& path, const tensorfile::TensorDict& tensors) {
  const std::string bytes = tensorfile::tensor_dict_bytes(tensors);
  const std::string digest = io::digest_hex(bytes);
  io::write_file_atomically(path, bytes);
  check(io::digest_hex(io::read_file(path)) == digest, "{}: what was written reads back differently: check the disk",
        path.string());
  return {{"bytes", bytes.size()}, {"xxh3_128", digest}};
}

json read_index(const fs::path& folder) {
  const fs::path path = folder / kIndex;
  try {
    json index = json::parse(io::read_file(path));
    check(index.at("format") == "xtasc-checkpoint" && index.at("version") == kVersion,
          "{}: not a checkpoint of version {}", path.string(), kVersion);
    return index;
  } catch (const json::exception& error) {
    fail("{} is damaged: {}", path.string(), error.what());
  }
}

void check_files(const fs::path& folder, const json& index) {
  for (const auto& [name, entry] : index.at("files").items()) {
    const fs::path path = folder / name;
    const std::string bytes = io::read_file(path);
    check(bytes.size() == entry.at("bytes").get<std::size_t>() &&
              io::digest_hex(bytes) == entry.at("xxh3_128").get<std::string>(),
          "{} is damaged: its checksum is not the one in {}", path.string(), kIndex);
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
  if (std::isfinite(p.best_val_loss)) {
    progress["best_val_loss"] = p.best_val_loss;
  }
  return progress;
}

Progress from_json(const json& j) {
  Progress p;
  j.at("epoch").get_to(p.epoch);
  j.at("step_in_epoch").get_to(p.step_in_epoch);
  j.at("step").get_to(p.step);
  j.at("epoch_loss_sums").get_to(p.epoch_loss_sums);
  p.epoch_weight_sums = j.value("epoch_weight_sums", p.epoch_weight_sums);  // older checkpoints lack it
  j.at("epoch_images").get_to(p.epoch_images);
  j.at("epoch_seconds").get_to(p.epoch_seconds);
  p.best_val_loss = j.value("best_val_loss", std::numeric_limits<double>::infinity());
  return p;
}

/// Names the first line in which two configs differ.
void check_identity(const fs::path& folder, const json& index, const RunIdentity& identity) {
  std::istringstream saved(index.at("config").get<std::string>());
  std::istringstream wanted(identity.config);
  for (std::string a, b; std::getline(saved, a) && std::getline(wanted, b);) {
    check(a == b, "{} belongs to another config: it has {}, this run has {}", folder.string(), a, b);
  }
  const auto digest = index.at("pack_digest").get<std::string>();
  check(
      digest == identity.pack_digest,
      "{} was trained on a pack with digest {}, data.pack now has {}: restore the pack, or start again with --restart",
      folder.string(), digest, identity.pack_digest);
}

}  // namespace

void Checkpoint::save(const Learner& learner, const Progress& progress, const RunIdentity& identity,
                      bool with_optimizer, const std::function<void()>& before_write) const {
  const fs::path fresh = new_folder(folder_);
  before_write();
  remove_folder(fresh);
  std::error_code error;
  fs::create_directories(fresh, error);
  check(!error, "cannot create {}: {}", fresh.string(), error.message());

  json files;
  const auto weights = learner.weights();
  files["weights.pt"] = write_checked(fresh / "weights.pt", {weights.begin(), weights.end()});
  if (with_optimizer) {
    const auto state = learner.state();
    before_write();
    files["state.pt"] = write_checked(fresh / "state.pt", {state.begin(), state.end()});
  }
  const json index = {
      {"format", "xtasc-checkpoint"},  {"version", kVersion},       {"files", files},
      {"progress", to_json(progress)}, {"config", identity.config}, {"pack_digest", identity.pack_digest}};
  before_write();
  io::write_file_atomically(fresh / kIndex, index.dump(2) + "\n");

  before_write();
  const fs::path old = old_folder(folder_);
  remove_folder(old);
  if (fs::exists(folder_)) {
    move_folder(folder_, old);
  }
  move_folder(fresh, folder_);
  io::sync_folder(folder_.parent_path());
  remove_folder(old);
}

void Checkpoint::finish_interrupted_save() const {
  const fs::path fresh = new_folder(folder_);
  const fs::path old = old_folder(folder_);
  if (!fs::exists(folder_)) {
    // Killed between the two renames. The new one is whole then, since it is renamed only after its index was written.
    if (fs::exists(old)) {
      move_folder(fs::exists(fresh / kIndex) ? fresh : old, folder_);
    }
  }
  remove_folder(fresh);
  remove_folder(old);
}

std::optional<Progress> Checkpoint::load(const Learner& learner, const RunIdentity& identity) const {
  finish_interrupted_save();
  if (!fs::exists(folder_)) {
    return std::nullopt;
  }
  const json index = read_index(folder_);
  try {
    check_identity(folder_, index, identity);
    check_files(folder_, index);
    load_weights(learner, weights_path().string(), tensorfile::read_tensor_dict(weights_path()));
    const auto saved = tensorfile::read_tensor_dict(folder_ / "state.pt");
    const c10::NoGradGuard no_grad;
    for (const auto& [name, tensor] : learner.state()) {
      const auto found = saved.find(name);
      check(found != saved.end() && found->second.sizes() == tensor.sizes(), "{}: {} is missing or of another shape",
            (folder_ / "state.pt").string(), name);
      tensor.copy_(found->second);
    }
    return from_json(index.at("progress"));
  } catch (const json::exception& error) {
    fail("{} is damaged: {}", (folder_ / kIndex).string(), error.what());
  }
}

void Checkpoint::verify() const {
  check(fs::exists(folder_), "no checkpoint at {}", folder_.string());
  try {
    check_files(folder_, read_index(folder_));
  } catch (const json::exception& error) {
    fail("{} is damaged: {}", (folder_ / kIndex).string(), error.what());
  }
}

std::string Checkpoint::description() const {
  return read_index(folder_).dump(2);
}

}  // namespace xtasc::train
