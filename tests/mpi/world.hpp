#pragma once

#include "dist/mpi_session.hpp"

namespace xtasc::test {
/// The session that main owns.
extern const dist::MpiSession* world;
}  // namespace xtasc::test
