#include "train/generations.hpp"

#include <ATen/ATen.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "core/log.hpp"

namespace xtasc::train {

namespace fs = std::filesystem;

namespace {

double gigabytes(std::uintmax_t bytes) {
  return static_cast<double>(bytes) / 1e9;
}

/// Bytes of the files of some folders, each file once, however many names it has.
std::uintmax_t size_of(const std::vector<fs::path>& folders) {
  std::uintmax_t bytes = 0;
  std::set<std::pair<dev_t, ino_t>> seen;
  for (const fs::path& folder : folders) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
         entry.increment(error)) {
      struct stat status {};
      if (::stat(entry->path().c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
          seen.emplace(status.st_dev, status.st_ino).second) {
        bytes += static_cast<std::uintmax_t>(status.st_size);
      }
    }
  }
  return bytes;
}

}  // namespace

Generations::Generations(const run::RunFolder& run, Checkpoint::BeforeWrite before_write)
    : last_(run.checkpoints() / "last"),
      previous_(run.checkpoints() / "previous"),
      best_(run.checkpoints() / "best"),
      before_write_(std::move(before_write)) {}

void Generations::save(const LearnerTensors& tensors, const Progress& progress, const RunIdentity& identity,
                       const std::string& metrics, bool is_best) const {
  try {
    last_.prepare(tensors, progress, identity, metrics, before_write_);
    // The best first: a run that is killed in between does the epoch again, and finds the best that it would save.
    if (is_best) {
      best_.save_as(last_, before_write_);
    }
    last_.commit(previous_.folder(), before_write_);
  } catch (const Error&) {
    before_write_();  // says it more clearly where the folder is gone, or another's by now
    throw;
  }
}

std::optional<Resumed> Generations::load(const Learner& learner, const RunIdentity& identity) const {
  std::vector<std::string> faults;
  const Checkpoint* missing = nullptr;
  for (const Checkpoint* checkpoint : {&last_, &previous_, &best_}) {
    checkpoint->finish_interrupted_save();
    if (!checkpoint->exists()) {
      missing = checkpoint == &last_ ? checkpoint : missing;
      continue;
    }
    try {
      auto resumed = checkpoint->load(learner, identity);
      if (!faults.empty() || missing != nullptr) {
        log_warning("{}: going on from {}, after epoch {}",
                    faults.empty() ? missing->folder().string() + " is missing" : faults.back(),
                    checkpoint->folder().filename().string(), resumed->progress.epoch);
      }
      if (checkpoint != &best_) {
        look_after_best(resumed->progress);
      }
      return resumed;
    } catch (const DamagedCheckpoint& error) {
      faults.push_back(
          fmt::format("{} (set aside as {})", error.what(), run::set_aside(checkpoint->folder()).filename().string()));
    }
  }
  if (!faults.empty()) {
    throw Error(fmt::format("no checkpoint in {} is whole: --restart trains the run anew",
                            last_.folder().parent_path().string()),
                ExitCode::failure, faults);
  }
  return std::nullopt;
}

void Generations::look_after_best(const Progress& progress) const {
  best_.finish_interrupted_save();
  std::string fault = best_.folder().string() + " is missing";
  if (best_.exists()) {
    try {
      const std::int64_t epoch = best_.verify();
      // One of a later epoch was saved before the run was killed: that epoch comes again, and with it this one.
      if (epoch == progress.best_epoch || epoch > progress.epoch) {
        return;
      }
      fault = fmt::format("{} is of epoch {}, the best one is {} (set aside as {})", best_.folder().string(), epoch,
                          progress.best_epoch, run::set_aside(best_.folder()).filename().string());
    } catch (const DamagedCheckpoint& error) {
      fault = fmt::format("{} (set aside as {})", error.what(), run::set_aside(best_.folder()).filename().string());
    }
  } else if (!std::isfinite(progress.best_val_loss)) {
    return;  // no epoch has ended yet
  }
  for (const Checkpoint* other : {&last_, &previous_}) {
    if (other->exists() && other->is_of_best_epoch()) {
      best_.save_as(*other, before_write_);
      log_warning("{}: made again from {}", fault, other->folder().filename().string());
      return;
    }
  }
  log_warning(
      "{}, and no other checkpoint is of that epoch: its numbers stay in metrics.jsonl, its weights are lost. Unless a "
      "later epoch is better, the run will not be DONE; --restart trains it anew",
      fault);
}

void Generations::require_best(const Progress& progress) const {
  check(
      best_.exists(),
      "all epochs are trained, but {} is missing: the run is not DONE without the weights of its best epoch; --restart "
      "trains it anew",
      best_.folder().string());
  const std::int64_t epoch = best_.verify();
  check(
      epoch == progress.best_epoch,
      "all epochs are trained, but {} is of epoch {}, and the best one is {}: the run is not DONE; --restart trains it "
      "anew",
      best_.folder().string(), epoch, progress.best_epoch);
}

std::uintmax_t bytes_still_needed(const Learner& learner, const run::RunFolder& run) {
  std::uintmax_t one = 0;
  for (const auto& tensors : {learner.weights(), learner.state()}) {
    for (const auto& [name, tensor] : tensors) {
      one += tensor.nbytes();
    }
  }
  constexpr std::uintmax_t kGenerations = 4;
  const std::uintmax_t all = kGenerations * (one + one / 100);
  const fs::path folder = run.checkpoints();
  const std::uintmax_t there = size_of({folder / "last", folder / "previous", folder / "best"});
  return all > there ? all - there : 0;
}

void check_free_space(const Learner& learner, const run::RunFolder& run) {
  struct statvfs space {};
  if (::statvfs(run.root.c_str(), &space) != 0 || space.f_blocks == 0) {
    return;  // nobody knows; the run itself will say what is wrong
  }
  const std::uintmax_t free = static_cast<std::uintmax_t>(space.f_bavail) * space.f_frsize;
  const std::uintmax_t needed = bytes_still_needed(learner, run);
  check(free >= needed,
        "{} has {:.3f} GB free, this run's checkpoints need {:.3f} GB: make room, or set run.output to another file "
        "system",
        run.root.string(), gigabytes(free), gigabytes(needed));
}

}  // namespace xtasc::train
