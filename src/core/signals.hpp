#pragma once

#include <string>

namespace xtasc {

/// Who started this process, as far as its signals go.
enum class Launcher { mpirun, other };

/// From now on SIGTERM, SIGUSR2, SIGINT and SIGHUP only set a flag that the training loop looks at between steps.
/// A second SIGINT ends the process at once, as a user at a keyboard expects. A SIGHUP that is ignored stays ignored
/// (nohup). \param launcher  mpirun: see was_let_go_on_by_launcher()
void install_stop_handlers(Launcher launcher = Launcher::other);

/// A file size limit and a reader that went away are errors of the write that meets them from now on, like a full disk,
/// and do not end the process.
void ignore_file_size_signal();
void ignore_broken_pipes();

/// The signal that asked this process to stop, or 0.
[[nodiscard]] int stop_signal() noexcept;
/// As if that signal had come, where none has yet.
void request_stop(int signal_number) noexcept;

/// Whether the parent has sent SIGCONT since the last call. mpirun, asked to end (Ctrl-C, SIGTERM, SIGHUP), sends it to
/// its ranks first, a second before SIGTERM and two before SIGKILL (Open MPI 4.1; odls_base_sigkill_timeout instead of
/// each second). Also to ranks that were stopped, to let them go on.
[[nodiscard]] bool was_let_go_on_by_launcher() noexcept;

/// Asks to stop as a signal does, but is a file that a user made. Greater than every signal.
inline constexpr int kStopFile = 1000;

/// "SIGTERM", "SIGUSR2", ...; "the file STOP"; "signal 7" for others.
[[nodiscard]] std::string signal_name(int signal_number);

}  // namespace xtasc
