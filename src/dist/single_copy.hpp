#pragma once

namespace xtasc::dist {

/// Whether the processes of one user may read each other's memory on this machine, as Open MPI's shared-memory
/// transport does to copy a message once instead of twice. Containers often forbid it, and the transport then complains
/// at each message. Found by trying: two children, of which one reads the other. Call it before threads are started.
/// Source: process_vm_readv(2); "Restrictions on ptrace_scope" in the kernel's Yama documentation.
[[nodiscard]] bool may_read_sibling_memory();

/// Where that is forbidden, tells Open MPI to copy twice, unless its environment variable says something already.
/// Call it before MPI_Init.
void choose_copy_mechanism();

}  // namespace xtasc::dist
