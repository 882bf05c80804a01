#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace xtasc {

/// flock on a file, held until the last copy of its descriptor is closed: by this object, and by any process that
/// inherited it. A process that dies, however, lets go. The file stays: its text says who held the lock last.
class FileLock {
 public:
  /// Takes the lock, or returns nullopt when another holds it. \param note  one line about the holder
  /// \throws Error with the path when the file cannot be made
  [[nodiscard]] static std::optional<FileLock> try_take(const std::filesystem::path& path, const std::string& note);
  /// Waits for the lock, up to `timeout_seconds`. \throws Error saying who holds it
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

/// The note of the lock's holder, or nullopt when none holds it (or there is no such file).
[[nodiscard]] std::optional<std::string> lock_holder(const std::filesystem::path& path);

[[nodiscard]] std::string this_host();
/// "HOST, process 1234": for notes.
[[nodiscard]] std::string this_process();

}  // namespace xtasc
