#pragma once

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "core/cli.hpp"
#include "core/error.hpp"
#include "core/signals.hpp"
#include "dist/mpi_session.hpp"

namespace xtasc::launch {

/// How ranks report an error: rank 0 at once, the others a moment later, unless rank 0 failed for the same reason and
/// ended them meanwhile; whoever spoke ends them all, so that no peer hangs in a collective call. \param session  empty
/// until MPI has started \param translate  see ErrorHooks
inline ErrorHooks rank_error_hooks(const std::optional<dist::MpiSession>& session,
                                   std::function<std::optional<Error>(const std::exception&)> translate = {}) {
  const auto has_peers = [&session] { return session && session->size() > 1; };
  return {.speaker =
              [&session, has_peers] {
                return has_peers() ? fmt::format("rank {} on {}", session->rank(), dist::host_name()) : std::string();
              },
          .before_message =
              [&session, has_peers] {
                if (!has_peers() || session->rank() == 0) {
                  return;
                }
                for (int waited = 0; waited < 100; ++waited) {
                  std::this_thread::sleep_for(std::chrono::milliseconds(10));
                  if (stop_signal() == SIGTERM) {  // what MPI_Abort sends; our handlers only took note of it
                    std::_Exit(static_cast<int>(ExitCode::failure));
                  }
                }
              },
          .after_message =
              [&session, has_peers](int exit_code) {
                if (has_peers()) {
                  session->abort(exit_code);
                }
              },
          .translate = std::move(translate)};
}

}  // namespace xtasc::launch
