#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// TensorBoard's event files: records of TensorFlow's message Event (event.proto), one behind the other.
namespace xtasc::events {

struct Number {
  std::string tag;  ///< "val/loss": what stands before the first / groups them
  double value = 0.0;
};

/// A whole record. Numbers are rounded to float32: TensorBoard's data server (0.7.2) shows no float64.
[[nodiscard]] std::string numbers_record(std::int64_t step, const std::vector<Number>& numbers);
/// \param text  Markdown
[[nodiscard]] std::string text_record(std::int64_t step, std::string_view tag, std::string_view text);
/// \param png  of RGB, height x width
[[nodiscard]] std::string picture_record(std::int64_t step, std::string_view tag, std::span<const std::byte> png,
                                         std::int64_t height, std::int64_t width);
/// What a file begins with.
[[nodiscard]] std::string version_record();

/// A record as a reader needs to know it.
struct Record {
  std::size_t end = 0;  ///< of its bytes in the file
  std::int64_t step = 0;
  std::string tag;  ///< of the first value; empty: none, it is the version
};

/// A file's records, as far as they are whole.
struct Records {
  std::vector<Record> records;
  std::size_t end = 0;      ///< of the last of them
  bool is_damaged = false;  ///< what follows there is no record that was cut short, but one that was changed
};
[[nodiscard]] Records records_of(std::string_view file);

/// The checksum that frames a record: CRC-32C, turned and moved so that a sum over sums is none of their own.
/// Source: https://github.com/tensorflow/tensorflow/blob/v2.20.0/tensorflow/core/lib/hash/crc32c.h
[[nodiscard]] std::uint32_t masked_crc(std::string_view bytes);

}  // namespace xtasc::events
