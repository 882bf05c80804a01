#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace xtasc::io {

/// XXH3-128 of a stream of bytes, as 32 hexadecimal digits.
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  void add(std::span<const std::byte> bytes);
  /// Adds the length and then the characters, so that ("ab", "c") and ("a", "bc") differ.
  void add_text(std::string_view text);
  [[nodiscard]] std::string hex() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// XXH3-128 of `bytes` as 32 hexadecimal digits.
[[nodiscard]] std::string digest_hex(std::span<const std::byte> bytes);
[[nodiscard]] std::string digest_hex(std::string_view text);
/// Whether a text is one: 32 lower-case hexadecimal digits.
[[nodiscard]] bool is_digest(std::string_view text);
/// As in zip and PNG files (ISO 3309). \param bytes  any number of them
[[nodiscard]] std::uint32_t crc32(std::string_view bytes);
/// Of a file's bytes, however large it is. \throws Error as read_file does
[[nodiscard]] std::string file_digest(const std::filesystem::path& path);

}  // namespace xtasc::io
