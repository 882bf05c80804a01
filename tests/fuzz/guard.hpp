#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <type_traits>

namespace xtasc::fuzz {

/// An input as a file; it lies in memory (HDF5 wants a real path, though, so no memfd) and is gone with this object.
class InputFile {
 public:
  explicit InputFile(std::span<const std::uint8_t> bytes);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// Runs `read` and aborts, with the reason on stderr, unless it keeps what every parser promises: it returns or throws
/// an xtasc::Error of one readable line, takes no more than a second of processor time, and nothing beneath it prints.
/// FUZZ_VERBOSE=1 in the environment prints each input's error.
void expect_value_or_error(const std::function<void()>& read);

/// Touches a value that a parser returned, so that the sanitizers see what is wrong with it.
void look_at(std::span<const std::byte> bytes);

template <typename T>
void look_at_all(const T& values) {
  static_assert(std::is_trivially_copyable_v<typename T::value_type>);
  look_at(std::as_bytes(std::span(values)));
}

}  // namespace xtasc::fuzz
