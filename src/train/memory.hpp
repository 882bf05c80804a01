#pragma once

namespace xtasc::train {

/// From now on tensors on the CPU come from one arena that keeps what is freed, instead of pages that the system clears
/// for every large tensor anew. Small tensors stay with malloc, and all do where the arena is full. Call as early as
/// convenient; more calls have no effect. Off in builds with sanitizers, which watch malloc, and where
/// XTASC_KEEP_MEMORY=0.
void keep_memory();

}  // namespace xtasc::train
