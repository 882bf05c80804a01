#pragma once

#include <chrono>
#include <optional>
#include <thread>

#include "core/cli.hpp"
#include "dist/mpi_session.hpp"

namespace xtasc::launch {

/// How ranks report an error: rank 0 at once, the others a moment later, which they do not live to see when rank 0 failed
/// for the same reason; whoever spoke ends them all, so that no peer hangs in a collective call.
/// \param session  empty until MPI has started
inline ErrorHooks rank_error_hooks(const std::optional<dist::MpiSession>& session) {
  const auto has_peers = [&session] { return session && session->size() > 1; };
  return {.before_message =
              [&session, has_peers] {
                if (has_peers() && session->rank() != 0) {
                  std::this_thread::sleep_for(std::chrono::seconds(1));
                }
              },
          .after_message =
              [&session, has_peers](int exit_code) {
                if (has_peers()) {
                  session->abort(exit_code);
                }
              }};
}

}  // namespace xtasc::launch
