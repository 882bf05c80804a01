#pragma once

namespace xtasc {

/// Opens /dev/null as each of standard input, output and error that is closed (`>&-`): the next file that the program
/// opens would be in its place, and a pack or a checkpoint would get what is printed. Calls of the system only, so that
/// it may come before anything is set up.
void open_closed_streams() noexcept;

}  // namespace xtasc
