#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.hpp"

namespace xtasc::io {

/// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  /// Closes now, for those who must know whether it worked. \returns as ::close
  int close() noexcept;

 private:
  int fd_;
};

/// What `path` leads to where that is no file with bytes in it, whose reading could wait for ever: "a folder", "a named
/// pipe", "a socket", "a device"; empty for a file, and where there is nothing.
[[nodiscard]] std::string_view other_kind(const std::filesystem::path& path);

/// What keeps `path` from being read as a file: "it is a named pipe, a config is expected", also of links that lead
/// nowhere or in a circle; empty for a file, and where there is nothing. \param wanted  what is expected
[[nodiscard]] std::string fault_of_file(const std::filesystem::path& path, std::string_view wanted = "a file");
/// \param wanted  what is expected, e.g. "a PNG or JPEG image"
/// \throws Error "cannot read 'PATH': it is KIND, WANTED is expected", of each fault_of_file(); not where there is
/// nothing: opening says so.
void check_is_file(const std::filesystem::path& path, std::string_view wanted = "a file");

/// Opens a file for reading. What is no file is refused before it is opened: that alone may block, or act on a device.
/// \throws Error as check_is_file does, or with the system's reason
[[nodiscard]] Descriptor open_file(const std::filesystem::path& path, std::string_view wanted = "a file");

/// The whole file. \throws Error as open_file, or with the system's reason.
[[nodiscard]] std::string read_file(const std::filesystem::path& path, std::string_view wanted = "a file");
/// Its first `max_bytes`, or all of a shorter one. \throws Error as read_file.
[[nodiscard]] std::string read_head(const std::filesystem::path& path, std::size_t max_bytes,
                                    std::string_view wanted = "a file");
/// The whole file `name` in the folder that the descriptor `folder` is open on, whatever its path leads to by now.
/// \param path  for the message
[[nodiscard]] std::string read_file_at(int folder, const std::string& name, const std::filesystem::path& path);

/// What a user wrote by hand: a config, a description of data. \throws Error of exit code 2, else as read_file.
[[nodiscard]] std::string read_config_file(const std::filesystem::path& path, std::string_view wanted);
/// A text file in UTF-8, without the byte order mark that some editors put in front.
/// \throws Error as read_file; "'PATH': it is UTF-16: ..." when it is not UTF-8
[[nodiscard]] std::string read_text(const std::filesystem::path& path, std::string_view wanted);

/// Where writing to `path` puts its bytes: what the last of a chain of links names, also where no file is yet.
/// \throws Error when links go in a circle, or what is there is no file
[[nodiscard]] std::filesystem::path end_of_links(const std::filesystem::path& path);

}  // namespace xtasc::io
