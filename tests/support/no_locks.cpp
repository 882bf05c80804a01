// A library for LD_PRELOAD: file systems without locks, as flock fails there. XTASC_LOCK_ERROR is the number: ENOLCK of
// an NFS without lockd, ENOSYS of a Lustre mounted without the option flock.
#include <sys/file.h>

#include <cerrno>
#include <cstdlib>

extern "C" int flock(int, int) {
  const char* error = std::getenv("XTASC_LOCK_ERROR");
  errno = error == nullptr ? ENOLCK : std::atoi(error);
  return -1;
}
