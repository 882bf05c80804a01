#include <ATen/ATen.h>
#include <fmt/format.h>

#include <array>
#include <optional>

#include "core/error.hpp"
#include "core/temp_folder.hpp"
#include "io/atomic_file.hpp"
#include "launch/selftest/checks.hpp"
#include "launch/selftest/trial.hpp"
#include "train/checkpoint.hpp"

namespace xtasc::launch {

namespace {

constexpr auto kPrecision = config::Precision::fp32;

/// A folder of rank 0's and a checkpoint in it, as a run has them: rank 0 alone reads and writes.
class SharedCheckpoint {
 public:
  /// Collective; after it, `is_open()` is the same on every rank. \throws Error on rank 0 when there can be no folder
  explicit SharedCheckpoint(const Machine& machine) : machine_(machine) {
    is_open_ = on_first_rank(machine.session, [&] { scratch_.emplace(machine.scratch, "xtasc-selftest"); });
  }

  [[nodiscard]] bool is_open() const { return is_open_; }
  [[nodiscard]] std::filesystem::path folder() const { return scratch_->path() / "last"; }

  /// Collective. \returns whether it went well
  bool save(const Trial& trial, const train::Progress& progress) {
    return on_first_rank(machine_.session, [&] {
      train::Checkpoint(folder()).save(train::Snapshot(trial.learner).on_host(), progress, identity_of(trial));
    });
  }

  /// Into every rank's trial. Collective. \returns on rank 0 where the run stood; nullopt when it did not go well
  std::optional<train::Progress> load(const Trial& trial) {
    train::Progress progress;
    const bool went_well = on_first_rank(machine_.session, [&] {
      const auto found = train::Checkpoint(folder()).load(trial.learner, identity_of(trial));
      check(found.has_value(), "the checkpoint that was just saved is not in {}", folder().string());
      progress = found->progress;
    });
    if (!went_well) {
      return std::nullopt;
    }
    train::broadcast_state(trial.learner, trial.communicator);
    return progress;
  }

  /// What load() refuses on rank 0, in its words; empty when it takes it. Not collective.
  [[nodiscard]] std::string refusal(const Trial& trial) const {
    try {
      static_cast<void>(train::Checkpoint(folder()).load(trial.learner, identity_of(trial)));
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }

 private:
  static train::RunIdentity identity_of(const Trial& trial) {
    return {config::identity_text(trial.config), "no pack: the self-test's own samples"};
  }

  const Machine& machine_;
  std::optional<TempFolder> scratch_;
  bool is_open_ = false;
};

/// On ranks that look on while rank 0 fails.
Finding left_to_first_rank() {
  return measured("");
}

void train_steps(Trial& trial, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    static_cast<void>(
        trial.train(trial_batch(static_cast<std::uint64_t>(i), trial_batch_size(i, trial.communicator.size()))));
  }
}

/// Empty when weights and optimizer have the same bits, else what differs.
std::string difference_of(const Trial& a, const Trial& b) {
  const std::string weights = first_difference(a.learner.weights(), b.learner.weights());
  return weights.empty() ? first_difference(a.learner.optimizer->state(), b.learner.optimizer->state()) : weights;
}

Finding comes_back(const Machine& machine) {
  SharedCheckpoint checkpoint(machine);
  if (!checkpoint.is_open()) {
    return left_to_first_rank();
  }
  Trial before(kPrecision, machine.device, *machine.world);
  train_steps(before, 0, 2);
  train::Progress progress = train::no_progress(*before.learner.objective);
  progress.epoch = 3;
  progress.step_in_epoch = 5;
  progress.step = 44;
  progress.epoch_loss_sums[1] = 1.0 / 3.0;
  if (!checkpoint.save(before, progress)) {
    return left_to_first_rank();
  }
  Trial after(kPrecision, machine.device, *machine.world);
  const auto found = checkpoint.load(after);
  if (!found) {
    return left_to_first_rank();
  }
  const std::string difference = difference_of(before, after);
  check(difference.empty(), "{} differs from what was saved", difference);
  check(
      machine.session.rank() != 0 || (found->step == progress.step && found->step_in_epoch == progress.step_in_epoch &&
                                      found->epoch_loss_sums == progress.epoch_loss_sums),
      "the run's progress differs from what was saved");
  return wanted(true, "weights, optimizer, progress", "the bits that were saved");
}

Finding damage_is_refused(const Machine& machine) {
  SharedCheckpoint checkpoint(machine);
  if (!checkpoint.is_open()) {
    return left_to_first_rank();
  }
  Trial trial(kPrecision, machine.device, *machine.world);
  if (!checkpoint.save(trial, {})) {
    return left_to_first_rank();
  }
  constexpr std::array<const char*, 2> kFiles = {"weights.pt", "state.pt"};
  const bool went_well = on_first_rank(machine.session, [&] {
    for (const char* name : kFiles) {
      const auto path = checkpoint.folder() / name;
      std::string bytes = io::read_file(path);
      char& middle = bytes[bytes.size() / 2];
      middle = static_cast<char>(middle ^ 1);
      io::write_file_atomically(path, bytes);
      const std::string refusal = checkpoint.refusal(trial);
      check(refusal.find(name) != std::string::npos, "{} with a flipped bit: {}", name,
            refusal.empty() ? "accepted" : refusal);
      middle = static_cast<char>(middle ^ 1);
      io::write_file_atomically(path, bytes);
    }
    check(checkpoint.refusal(trial).empty(), "the mended checkpoint: {}", checkpoint.refusal(trial));
  });
  return went_well ? wanted(true, "weights.pt and state.pt", "refused by name") : left_to_first_rank();
}

/// k steps, a checkpoint, and k more by another learner, against 2 k steps without a break.
Finding resumes_bit_for_bit(const Machine& machine) {
  constexpr std::int64_t kSteps = 2;
  SharedCheckpoint checkpoint(machine);
  if (!checkpoint.is_open()) {
    return left_to_first_rank();
  }
  Trial unbroken(kPrecision, machine.device, *machine.world);
  train_steps(unbroken, 0, 2 * kSteps);
  {
    Trial first(kPrecision, machine.device, *machine.world);
    train_steps(first, 0, kSteps);
    if (!checkpoint.save(first, {.step = kSteps})) {
      return left_to_first_rank();
    }
  }
  Trial second(kPrecision, machine.device, *machine.world);
  if (!checkpoint.load(second)) {
    return left_to_first_rank();
  }
  train_steps(second, kSteps, 2 * kSteps);
  const std::string difference = difference_of(unbroken, second);
  check(difference.empty(), "{} differs from the run without a break", difference);
  return wanted(true, fmt::format("{} + {} steps", kSteps, kSteps), fmt::format("the bits of {} steps", 2 * kSteps));
}

}  // namespace

void check_checkpoint(CheckRunner& runner, const Machine& machine) {
  const auto run = [&](const std::string& name, Finding (*work)(const Machine&)) {
    runner.run("checkpoint", name,
               [&] { return machine.world ? work(machine) : skipped("the device's communicator did not start"); });
  };
  run("what was saved comes back", comes_back);
  run("a flipped bit is refused", damage_is_refused);
  run("a resumed run goes on bit for bit", resumes_bit_for_bit);
}

}  // namespace xtasc::launch
