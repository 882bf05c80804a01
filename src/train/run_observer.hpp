#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "dist/mpi_session.hpp"
#include "events/event_log.hpp"
#include "net/networks.hpp"
#include "pack/reader.hpp"
#include "run/run_folder.hpp"
#include "train/checkpoint.hpp"
#include "train/machine_use.hpp"
#include "train/panels.hpp"
#include "train/phase_clock.hpp"
#include "train/setup.hpp"
#include "train/step.hpp"
#include "train/step_trace.hpp"

namespace xtasc::train {

/// What shows a run to people while it goes on, and changes nothing of it: where the time of its steps goes, what it
/// asks of the machine, torch's trace of some steps (run.profile), and on rank 0 event files (run.tensorboard).
class RunObserver {
 public:
  /// All of it outlives the observer. Collective.
  RunObserver(const dist::MpiSession& session, const config::RunConfig& config, const run::RunFolder& folder,
              const net::Sizes& sizes, const Learner& learner, at::Device device,
              const dist::Communicator& communicator);
  /// Where an error ends the run, its last losses are in the event files all the same.
  ~RunObserver();
  RunObserver(const RunObserver&) = delete;
  RunObserver& operator=(const RunObserver&) = delete;

  /// Goes on from here with the event files, where they are wanted; on rank 0 alone, once config.toml, provenance.json
  /// and metrics.jsonl are as the checkpoint has them. \param judged  what epochs are judged by
  void open_events(const Progress& progress, const pack::Reader& pack, const data::Splits& data,
                   const data::Dataset& judged);
  /// Is told the parts of its steps from now on.
  void observe(Step& step);

  void begin_training() { sums_before_ = communicator_.seconds_in_sums(); }
  /// \param step  that begins, from 1: first of all its samples are drawn
  void begin_step(std::int64_t step);
  /// The samples are there.
  void end_data() { clock_.leave(); }
  void end_step();
  /// \param losses  StepResult::losses of the step that was done last, on the host
  void add_losses(const Progress& progress, const std::vector<double>& losses);
  /// Puts what this training of an epoch took into the progress.
  void end_training(Progress& progress);

  /// What the epoch that just ended asked of the machine, for its record. Collective.
  [[nodiscard]] std::map<std::string, std::map<std::string, double>> use_of_epoch(const Progress& progress) const {
    return use_.of_epoch(progress);
  }
  /// The epoch's numbers, and its picture where one is due. Rank 0 only; before its checkpoint is written, so that the
  /// files hold all that a checkpoint knows.
  void add_epoch(const run::EpochRecord& record);
  /// The run ends here, or is stopped; before the checkpoint likewise.
  void finish();

 private:
  const config::RunConfig& config_;
  const run::RunFolder& folder_;
  const Learner& learner_;
  const dist::Communicator& communicator_;
  MachineUse use_;
  PhaseClock clock_;
  StepTrace trace_;
  std::optional<double> sums_before_;  ///< this training
  std::optional<events::EventLog> events_;
  std::optional<Panels> panels_;
};

}  // namespace xtasc::train
