#pragma once

#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "core/rank_board.hpp"
#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "dist/mpi_session.hpp"
#include "pack/reader.hpp"
#include "run/provenance.hpp"
#include "run/run_folder.hpp"
#include "train/checkpoint.hpp"
#include "train/setup.hpp"

namespace xtasc::train {

/// Where the numbers of a run that starts now come from. Collective.
[[nodiscard]] run::Provenance provenance_of(const dist::MpiSession& session, const config::RunConfig& config,
                                            const pack::Reader& pack, const Learner& learner, at::Device device,
                                            const dist::Communicator& communicator,
                                            const std::vector<std::string>& command_line);

/// config.toml and provenance.json; a resumed run keeps the first start's and adds an entry for its own, and the log
/// says what is not as at the start before. Rank 0 only. \param progress  where this start goes on from
void write_records(const run::RunFolder& folder, const config::RunConfig& config, const run::Provenance& provenance,
                   const Progress& progress);

/// The time of the end, and DONE; of a run that goes on later only a line in the log. Rank 0 only.
/// \param epoch  after which it ended
void mark_end(const run::RunFolder& folder, std::int64_t epoch, bool goes_on_later);

/// The line that a run's log begins with: what is trained, on what, and where.
void log_run(const config::RunConfig& config, const pack::Schema& schema, const data::Splits& data,
             const Learner& learner, const dist::MpiSession& session, const dist::Communicator& communicator,
             at::Device device);

/// One line for each of several ranks: "rank 3 -> node17 -> cuda:1 (NVIDIA H200, 0000:41:00.0)"; under mpirun also how
/// they are stopped so that nothing is lost: what people try first, Ctrl-C, leaves them two seconds. Collective.
void log_ranks(const dist::MpiSession& session, at::Device device, const LaunchedAs& launched);

}  // namespace xtasc::train
