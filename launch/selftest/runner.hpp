#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "core/watchdog.hpp"
#include "dist/mpi_session.hpp"
#include "launch/selftest/table.hpp"

namespace xtasc::launch {

/// Runs checks one after another, in step on all ranks, and prints their rows on rank 0 as they come.
///
/// A check that throws is a FAIL of that rank, and all ranks go on to the next. Where that cannot be, because peers
/// wait for this rank inside a collective call or the network hangs, a watchdog ends all ranks when a check has taken
/// longer than the timeout.
class CheckRunner {
 public:
  /// \param session  must outlive the runner
  CheckRunner(const dist::MpiSession& session, std::chrono::seconds timeout);

  /// What all ranks found, the same on every rank. Collective.
  /// \throws Error when the ranks are no longer at the same check
  Row run(const std::string& group, const std::string& name, const std::function<Finding()>& check);

  [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }

 private:
  /// What the watchdog would say from now on.
  void set_watched(const std::string& what, const std::string& failure);
  [[noreturn]] void end_all_ranks();

  const dist::MpiSession& session_;
  std::chrono::seconds timeout_;
  std::vector<Row> rows_;

  std::mutex mutex_;
  std::string watched_, failure_;
  Watchdog watchdog_;
};

/// Runs `work` on rank 0 alone. \returns on every rank whether it went well; on rank 0 its exception passes.
/// Collective.
[[nodiscard]] bool on_first_rank(const dist::MpiSession& session, const std::function<void()>& work);

}  // namespace xtasc::launch
