#include "train/checkpoint_writer.hpp"

#include <ATen/Parallel.h>
#include <omp.h>

#include <chrono>
#include <thread>
#include <utility>

#include "core/error.hpp"
#include "core/log.hpp"
#include "train/snapshot.hpp"
#include "train/start.hpp"

namespace xtasc::train {

namespace {

using Clock = std::chrono::steady_clock;

/// The training has this process's cores: what ATen does on the calling thread, it does on that alone.
void keep_to_one_thread() {
  // Else the first parallel work sets the number anew. Not at::set_num_threads: that is for all threads.
  static_cast<void>(at::get_num_threads());
  at::internal::lazy_init_num_threads();
  omp_set_num_threads(1);
}

}  // namespace

CheckpointWriter::CheckpointWriter(const run::RunFolder& folder, RunIdentity identity,
                                   Checkpoint::BeforeWrite before_write)
    : identity_(std::move(identity)), generations_(folder, std::move(before_write)), metrics_(folder.metrics()) {}

std::optional<Progress> CheckpointWriter::load(const Learner& learner) {
  finish();
  if (auto found = generations_.load(learner, identity_)) {
    metrics_.restore(std::move(found->metrics));
    return found->progress;
  }
  check(!has_epochs(metrics_.path()),
        "{} has epochs, but there is no checkpoint of them: somebody removed it; --restart begins anew",
        metrics_.path().string());
  metrics_.restore({});
  return std::nullopt;
}

void CheckpointWriter::save(const Learner& learner, const Progress& progress, const run::EpochRecord& record) {
  const Clock::time_point start_time = Clock::now();
  finish();
  metrics_.add(record);
  start(learner, progress, record.is_best);
  seconds_ = std::chrono::duration<double>(Clock::now() - start_time).count();
}

void CheckpointWriter::save(const Learner& learner, const Progress& progress) {
  finish();
  start(learner, progress, /*is_best=*/false);
}

void CheckpointWriter::start(const Learner& learner, const Progress& progress, bool is_best) {
  // Where the system gives no thread, the caller writes: async falls back to the deferred form, which begins in wait().
  const auto both = std::launch::async | std::launch::deferred;
  const auto caller = std::this_thread::get_id();
  writing_ = std::async(both, [this, snapshot = Snapshot(learner), progress, is_best, caller]() mutable {
    if (std::this_thread::get_id() != caller) {
      keep_to_one_thread();
    }
    generations_.save(std::move(snapshot).on_host(), progress, identity_, metrics_.history(), is_best);
    // The file after the checkpoint, which holds all that it says: a run that is killed in between writes it from
    // there.
    metrics_.write();
  });
  if (writing_.wait_for(std::chrono::seconds(0)) == std::future_status::deferred) {
    writing_.wait();
  }
}

void CheckpointWriter::require_healthy() {
  if (writing_.valid() && writing_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
    writing_.get();
  }
}

void CheckpointWriter::finish() {
  if (writing_.valid()) {
    writing_.get();
  }
}

void CheckpointWriter::finish_or_warn() {
  try {
    finish();
  } catch (const std::exception& error) {
    log_warning("{}", error.what());
  }
}

void CheckpointWriter::require_complete(const Progress& progress) {
  finish();
  metrics_.require_written();
  generations_.require_best(progress);
}

}  // namespace xtasc::train
