#pragma once

namespace xtasc::dist {

/// What the environment must say before MPI_Init, so that Open MPI can start: where its own files go, and that a
/// program which no launcher started is alone. What it says already stands. \throws Error when srun started this
/// process in a way in which it cannot be one of several ranks
void prepare_start();

}  // namespace xtasc::dist
