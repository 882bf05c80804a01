#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace xtasc {

struct LockAttempt;

/// flock on a file, the only kind of lock in this software: held until the last copy of its descriptor is closed, by
/// this object and by any process that inherited it. A process that dies, however, lets go. Other hosts' locks are seen
/// where the file system passes them on (NFS, Lustre with flock). The file stays: its text says who held it last.
class FileLock {
 public:
  /// Tries for `seconds`, at least once. \param note  one line about the holder, for the file; empty: the file stays as
  /// it is \throws Error with the path when the file cannot be made
  [[nodiscard]] static LockAttempt attempt(const std::filesystem::path& path, const std::string& note, double seconds);
  /// Takes the lock, or returns nullopt when another holds it. \throws Error with the path when the file cannot be made
  /// or locked
  [[nodiscard]] static std::optional<FileLock> try_take(const std::filesystem::path& path, const std::string& note);
  /// Waits for the lock, up to `timeout_seconds`. \throws Error saying who holds it; as try_take
  [[nodiscard]] static FileLock take(const std::filesystem::path& path, const std::string& note,
                                     double timeout_seconds);

  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  /// For a child that is to hold the lock too. Closed at exec unless the child clears that.
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

/// What became of an attempt to take a lock.
struct LockAttempt {
  std::optional<FileLock> lock;  ///< absent: another holds it, or `fault` says why nobody can
  std::string fault;             ///< "cannot lock PATH: REASON", as on a file system that keeps no locks; else empty
};

/// Does a process hold the lock? Never when there is no such file, or the file system has no locks.
[[nodiscard]] bool is_locked(const std::filesystem::path& path);

/// The note of the lock's holder; nullopt where is_locked() is false.
[[nodiscard]] std::optional<std::string> lock_holder(const std::filesystem::path& path);

}  // namespace xtasc
