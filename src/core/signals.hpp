#pragma once

#include <string>

namespace xtasc {

/// From now on SIGTERM, SIGUSR2 and SIGINT only set a flag that the training loop looks at between steps.
/// A second SIGINT ends the process at once, as a user at a keyboard expects.
void install_stop_handlers();

/// The signal that asked this process to stop, or 0.
[[nodiscard]] int stop_signal() noexcept;

/// Asks to stop as a signal does, but is a file that a user made. Greater than every signal.
inline constexpr int kStopFile = 1000;

/// "SIGTERM", "SIGUSR2", ...; "the file STOP"; "signal 7" for others.
[[nodiscard]] std::string signal_name(int signal_number);

}  // namespace xtasc
