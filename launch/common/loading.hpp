#pragma once

namespace xtasc::launch {

/// While a program's libraries are loaded, tenths of a second, no code of ours runs, but for what stands in
/// loading.cpp: a signal that asks to stop waits until this call, by when somebody can answer it. Links loading.cpp
/// into the program.
void end_loading() noexcept;

}  // namespace xtasc::launch
